"""The read cache of this machine: a folder with data of images whose stores are not local.

The folder can be removed at any time. The cache does not use the database: a reader has already
looked up the image, and knows the digest that its data must have.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from images import errors
from images.cache import counts, entries, filling, folder
from images.cache.counts import Counts
from images.cache.entries import Content, Entry
from images.cache.filling import Filling, limit
from images.cache.folder import DATA, PARTS, QUEUE, is_on
from images.stores.local import FilePart

__all__ = [
    "Content",
    "Counts",
    "Entry",
    "Filling",
    "clean",
    "clear",
    "clear_queue",
    "contents",
    "dequeue",
    "enqueue",
    "forget",
    "image_ids",
    "is_being_filled",
    "is_on",
    "limit",
    "prune",
    "queued",
    "read",
    "remove",
    "remove_or_dequeue",
    "statistics",
]


def read(content: Content, start: int, stop: int | None) -> FilePart | None:
    """Return bytes [start, stop) of an image's data from the cache; None if they are not cached.

    None also if the cache fails; the failure is logged.
    """
    part = None
    with folder.failures_logged():
        part = entries.read(content, start, stop)
        if part is None:
            folder.create()
            counts.add(misses=1)
    return part


def contents() -> list[Entry]:
    """Return all entries of the cache, the least recently used one first. Raises StoreError."""
    with folder.failures_raised():
        return entries.listed()


def image_ids() -> set[str]:
    """Return the ids of all images that have files in the cache. Raises StoreError."""
    with folder.failures_raised():
        return {entries.image_of(name) for name in folder.names(DATA)}


def is_being_filled(image_id: str) -> bool:
    """Return whether a download is writing this image to the cache now. Raises StoreError."""
    with folder.failures_raised():
        return any(entries.image_of(name) == image_id for name in folder.names(PARTS))


def statistics() -> Counts:
    """Return the counts of hits, misses, fills and evictions. Raises StoreError."""
    with folder.failures_raised():
        return counts.total()


def remove(image_ids: Collection[str]) -> int:
    """Remove the data of these images from the cache; return how many entries were removed.

    Raises StoreError if the cache fails.
    """
    with folder.failures_raised(), folder.locked():
        names = [
            name for name in folder.names(DATA) if entries.image_of(name) in image_ids
        ]
        return sum(map(entries.remove, names))


def remove_or_dequeue(image_id: str) -> None:
    """Remove an image from the cache, and from the queue of images to be cached.

    Raises NotFound if the image is in neither, and StoreError if the cache fails.
    """
    is_removed, is_dequeued = remove([image_id]) > 0, dequeue(image_id)
    if not (is_removed or is_dequeued):
        raise errors.NotFound(f"Image {image_id} is neither cached nor queued.")


def forget(image_id: str) -> None:
    """Remove a deleted image from the cache of this machine, and from the queue of images to be cached.

    If the cache fails, the failure is only logged.
    """
    if is_on():
        with folder.failures_logged():
            remove([image_id])
            dequeue(image_id)


def clear() -> None:
    """Remove the data of all images from the cache. Raises StoreError."""
    remove(image_ids())


def clean() -> int:
    """Remove damaged entries, and unfinished files of dead processes; return how many were removed.

    Raises StoreError if the cache fails.
    """
    with folder.failures_raised(), folder.locked():
        return entries.remove_damaged() + filling.remove_dead_parts()


def prune() -> tuple[int, int]:
    """Evict the least recently used entries until the cache has at most its maximum size.

    Returns the number of evicted entries and their bytes. Raises StoreError if the cache fails.
    """
    with folder.failures_raised(), folder.locked():
        return filling.prune()


def enqueue(image_id: str) -> None:
    """Queue an image, so that this machine's background worker caches it. Raises StoreError."""
    with folder.failures_raised(), folder.locked():
        folder.path(QUEUE, image_id).touch(folder.FILE_MODE)
        folder.stamp(folder.path(QUEUE, image_id))


def dequeue(image_id: str) -> bool:
    """Remove an image from the queue of images to be cached; return whether it was there.

    Raises StoreError if the cache fails.
    """
    with folder.failures_raised(), suppress(FileNotFoundError):
        folder.path(QUEUE, image_id).unlink()
        return True
    return False


def queued() -> list[str]:
    """Return the ids of the images that wait to be cached, oldest first. Raises StoreError."""
    with folder.failures_raised():
        since = {name: _since(name) for name in folder.names(QUEUE)}
        return sorted(since, key=lambda name: since[name])


def clear_queue() -> None:
    """Remove all images from the queue of images to be cached. Raises StoreError."""
    for image_id in queued():
        dequeue(image_id)


def _since(image_id: str) -> int:
    with suppress(FileNotFoundError):  # dequeued meanwhile
        return folder.path(QUEUE, image_id).stat().st_mtime_ns
    return 0
