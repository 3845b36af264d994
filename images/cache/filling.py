"""Writing of an image's data to the cache during a download."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from django.conf import settings

from images.cache import counts, entries, folder
from images.cache.entries import Content
from images.cache.folder import DATA, PARTS
from images.failpoints import failpoint
from images.stores import free_space
from images.stores.writeback import WriteBack

DEFAULT_LIMIT = 10 << 30  # bytes


class Filling(Iterator[bytes]):
    """An iterator over the blocks of an image's data, which also writes them to the cache.

    The entry is completed before the last block is returned. So the source of the blocks must raise
    an error before its last block if the data is not the image's. A failure of the cache does not
    affect the blocks. ``close`` must be called.
    """

    def __init__(self, blocks: Iterator[bytes], content: Content) -> None:
        self._blocks, self._content = blocks, content
        self._left = content.size
        self._part: _PartFile | None = None
        self._is_begun = False

    def __next__(self) -> bytes:
        try:
            block = next(self._blocks)
        except BaseException:
            self._abandon()
            raise
        self._left -= len(block)
        is_written = False
        with folder.failures_logged():
            self._write(block)
            is_written = True
        if not is_written:
            self._abandon()
        return block

    def close(self) -> None:
        """Close the source of the blocks, and remove the written data if it is not complete."""
        self._abandon()
        if hasattr(self._blocks, "close"):
            self._blocks.close()

    def __del__(self) -> None:
        self._abandon()

    def _write(self, block: bytes) -> None:
        if not self._is_begun:
            self._is_begun = True
            self._part = _begin(self._content)
        if self._part is None:
            return
        self._part.write(block)
        if not self._left:
            self._part.complete()
            self._part = None

    def _abandon(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.abandon()


class _PartFile:
    """A file of the cache that is being written.

    Its writer has locked it, so that other processes can see whether the writer is alive.
    """

    def __init__(self, content: Content) -> None:
        """Create and lock the file, and claim disk space for all its data.

        The caller holds the lock of the cache. Raises OSError, and StoreFull without enough space.
        """
        self._content = content
        self._path = _part(content.name)
        with ExitStack() as resources:
            self._claim = free_space.Claim(self._path.parent, content.size)
            resources.callback(self._claim.release)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self._path, flags, folder.FILE_MODE)
            resources.callback(os.close, self._file)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, content.size)  # counts in full from now on
            failpoint("cache.begun")
            self._write_back = resources.enter_context(WriteBack(self._file))
            self._resources = resources.pop_all()

    def write(self, block: bytes) -> None:
        """Write a block. Raises OSError, and StoreFull if the disk has no space for it."""
        self._claim.use(len(block))
        self._write_back.write(block)

    def complete(self) -> None:
        """Sync the file to the disk, and make it an entry of the cache. Raises OSError."""
        # Without this sync a power failure could leave a file of the right size with other bytes.
        self._write_back.finish()
        with folder.locked():
            counts.add(fills=1)
            os.rename(self._path, folder.path(DATA, self._content.name))
            failpoint("cache.renamed")
            # Only now: a file that is renamed counts as changed.
            entries.add(self._content, os.fstat(self._file))
        self._resources.close()
        failpoint("cache.filled")

    def abandon(self) -> None:
        """Remove the unfinished file, and release the disk space that was claimed for it."""
        with suppress(OSError):
            os.unlink(self._path)
        self._resources.close()


def _begin(content: Content) -> _PartFile | None:
    """Return a new file of the cache for this data; None if the data cannot or need not be written.

    That is so if it is cached already, is being cached, or is too large for the cache.
    """
    with folder.locked():
        remove_dead_parts()
        known = folder.path(PARTS, content.name).exists()
        if known or entries.is_intact(content.name):
            return None
        entries.remove(content.name)
        if not _make_room(content.size):
            return None
        return _PartFile(content)


def limit() -> int:
    """Return the maximum size of the cache in bytes."""
    configured = settings.IMAGECATALOG_CACHE_MAX_SIZE
    return DEFAULT_LIMIT if configured is None else configured


def prune() -> tuple[int, int]:
    """Evict entries until the cache has at most its maximum size.

    Returns the number of evicted entries and their bytes. The caller holds the lock of the cache.
    Raises OSError.
    """
    return _evict(limit())


def remove_dead_parts() -> int:
    """Remove unfinished files whose writer has died; return how many were removed.

    The caller holds the lock of the cache. Raises OSError.
    """
    dead = [path for name in folder.names(PARTS) if _is_dead(path := _part(name))]
    for path in dead:
        os.unlink(path)
    return len(dead)


def _make_room(size: int) -> bool:
    most = limit() - size
    if sum(_sizes_of_parts()) > most:
        return False
    _evict(most)
    return True


def _evict(most: int) -> tuple[int, int]:
    """Evict entries until all files, also unfinished ones, have at most ``most`` bytes together.

    Returns the number of evicted entries and their bytes.
    """
    cached = entries.listed()
    excess = sum(entry.size for entry in cached) + sum(_sizes_of_parts()) - most
    evicted = []
    for entry in cached:
        if excess <= 0:
            break
        evicted.append(entry)
        excess -= entry.size
    return entries.evict(evicted)


def _sizes_of_parts() -> Iterator[int]:
    for name in folder.names(PARTS):
        with suppress(FileNotFoundError):  # abandoned meanwhile
            yield _part(name).stat().st_size


def _part(name: str) -> Path:
    return folder.path(PARTS, name)


def _is_dead(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:  # abandoned meanwhile
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True
