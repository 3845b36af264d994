"""Counts of what the cache of this machine has done, in a file that its processes share."""

from __future__ import annotations

import fcntl
import operator
import os
import struct
from typing import NamedTuple

from images.cache import folder

NAME = "counts"


class Counts(NamedTuple):
    """Counts of cache events since the folder of the cache was created."""

    hits: int = 0
    hit_bytes: int = 0
    misses: int = 0
    fills: int = 0
    evictions: int = 0


_LAYOUT = struct.Struct(f"<{len(Counts._fields)}Q")


def add(**numbers: int) -> None:
    """Add each number to the count of the same name, such as ``hits``. Raises OSError.

    The file of the counts is locked meanwhile.
    """
    file = os.open(
        folder.path(NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, folder.FILE_MODE
    )
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = _parsed(os.pread(file, _LAYOUT.size, 0))
        after = map(operator.add, before, Counts(**numbers))
        os.pwrite(file, _LAYOUT.pack(*after), 0)
    finally:
        os.close(file)


def total() -> Counts:
    """Return the present counts, zeros if there are none. Raises OSError."""
    try:
        return _parsed(folder.path(NAME).read_bytes())
    except FileNotFoundError:
        return Counts()


def _parsed(content: bytes) -> Counts:
    if len(content) < _LAYOUT.size:
        return Counts()
    return Counts(*_LAYOUT.unpack_from(content))
