"""The entries of the cache: files with the data of images, each with a record of its uses.

A record is a file with a line of JSON that describes the data, then one byte for each use; its time
of modification is the time of the last use. So a hit takes no lock. Data that was changed after it
was complete no longer fits the description, and is never used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from images.cache import counts, folder
from images.cache.folder import DATA, USES
from images.failpoints import failpoint
from images.stores.local import FilePart

LONGEST_LINE = 4096  # bytes


@dataclass(frozen=True)
class Content:
    """The properties by which the cache identifies data of an image: image id, size and digest."""

    image_id: str
    size: int  # bytes
    algorithm: str
    digest: str  # hexadecimal, lower case
    checksum: str | None  # MD5, hexadecimal

    @property
    def name(self) -> str:
        """The name of the files of the cache entry for this data.

        It includes the digest, so that an image id that is used again gets other files.
        """
        return f"{self.image_id}.{self.digest[:32]}"


class Entry(NamedTuple):
    """A cached image: the size of its data, and how often and when the data was used."""

    name: str
    size: int  # bytes
    checksum: str | None
    hits: int
    filled_at: float  # seconds since the epoch
    used_at: float

    @property
    def image_id(self) -> str:
        """The id of the image to which the data belongs."""
        return image_of(self.name)


class _Record(NamedTuple):
    description: dict[str, Any]
    hits: int
    used_at: float

    def fits(self, facts: dict[str, Any]) -> bool:
        """Return whether the record states all these facts (name -> value) about the cached data."""
        return self.description == self.description | facts


def image_of(name: str) -> str:
    """Return the id of the image that the name of a cache file begins with."""
    return name.partition(".")[0]


def read(content: Content, start: int, stop: int | None) -> FilePart | None:
    """Return bytes [start, stop) of cached data, and count the use; None if the data is not cached.

    Data that was changed after it was complete is removed. Raises OSError.
    """
    stop = content.size if stop is None else min(stop, content.size)
    with suppress(FileNotFoundError):
        file = _opened(DATA, content.name, os.O_RDONLY)
        os.posix_fadvise(file, start, 0, os.POSIX_FADV_SEQUENTIAL)
        part = FilePart(file, start, stop)
        if _use(content, part):
            counts.add(hits=1, hit_bytes=stop - start)
            return part
        part.close()
        with folder.locked():
            if not is_intact(content.name):
                remove(content.name)
    return None


def add(content: Content, status: os.stat_result) -> None:
    """Add an entry, whose data is complete, to the cache by writing its record.

    ``status`` is the stat result of the data's file. The caller holds the lock of the cache. Raises
    OSError.
    """
    description = _facts(content) | _state(status) | {"checksum": content.checksum}
    line = json.dumps(description).encode() + b"\n"
    uses = folder.path(USES, content.name)
    uses.write_bytes(line)
    folder.stamp(uses)


def is_intact(name: str) -> bool:
    """Return whether the entry ``name`` exists and its data was not changed since it was complete.

    Raises OSError.
    """
    with suppress(FileNotFoundError):
        status = folder.path(DATA, name).lstat()
        record = _record(name)
        return record is not None and record.fits(_state(status))
    return False


def remove(name: str) -> bool:
    """Remove the entry ``name`` from the cache; return False if there was no such entry, else True.

    The caller holds the lock of the cache. Raises OSError.
    """
    removed = False
    for part in (DATA, USES):
        with suppress(FileNotFoundError):
            os.unlink(folder.path(part, name))
            removed = True
            failpoint("cache.removing")
    return removed


def remove_damaged() -> int:
    """Remove entries with damaged data, or without a record; return how many were removed.

    Data that was changed after it was complete counts as damaged. The caller holds the lock of the
    cache. Raises OSError.
    """
    found = {*folder.names(DATA), *folder.names(USES)}
    return sum(remove(name) for name in found if not is_intact(name))


def listed() -> list[Entry]:
    """Return all entries of the cache, the least recently used one first. Raises OSError."""
    found = [entry for name in folder.names(DATA) if (entry := _entry(name))]
    return sorted(found, key=lambda entry: entry.used_at)


def evict(entries: Iterable[Entry]) -> tuple[int, int]:
    """Remove entries from the cache, and count them as evicted; return their number and bytes.

    The caller holds the lock of the cache. Raises OSError.
    """
    evicted = [entry.size for entry in entries if remove(entry.name)]
    counts.add(evictions=len(evicted))
    return len(evicted), sum(evicted)


def _use(content: Content, part: FilePart) -> bool:
    """Count a use of the entry whose data is opened as ``part``.

    Returns False, and counts nothing, if the data does not fit its record.
    """
    uses = _opened(USES, content.name, os.O_RDWR | os.O_APPEND)
    try:
        record = _parsed(uses)
        if record is None or not record.fits(_facts(content) | _state(part.status())):
            return False
        os.write(uses, b".")
        folder.stamp(uses)
    finally:
        os.close(uses)
    return True


def _entry(name: str) -> Entry | None:
    with suppress(FileNotFoundError):  # removed meanwhile
        status = folder.path(DATA, name).stat()
        if record := _record(name):
            checksum = record.description.get("checksum")
            return Entry(
                name,
                status.st_size,
                checksum,
                record.hits,
                status.st_mtime,
                record.used_at,
            )
    return None


def _record(name: str) -> _Record | None:
    uses = _opened(USES, name, os.O_RDONLY)
    try:
        return _parsed(uses)
    finally:
        os.close(uses)


def _parsed(uses: int) -> _Record | None:
    line = os.pread(uses, LONGEST_LINE, 0).partition(b"\n")[0]
    status = os.fstat(uses)
    try:
        description = json.loads(line)
    except ValueError:  # of a process that was killed while it wrote
        return None
    if not isinstance(description, dict):
        return None
    return _Record(description, status.st_size - len(line) - 1, status.st_mtime)


def _facts(content: Content) -> dict[str, Any]:
    return {"algorithm": content.algorithm, "digest": content.digest}


def _state(status: os.stat_result) -> dict[str, int]:
    """Return facts about a file that change when the file is written to or replaced."""
    return {
        "size": status.st_size,
        "inode": status.st_ino,
        "changed": status.st_ctime_ns,
    }


def _opened(part: str, name: str, flags: int) -> int:
    return os.open(folder.path(part, name), flags | os.O_CLOEXEC | os.O_NOFOLLOW)
