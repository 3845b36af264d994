"""Counts of the events in the cache of this machine, such as hits.

They are in a file that all processes share.
"""

from __future__ import annotations

import fcntl
import operator
import os
import struct
from typing import NamedTuple

from images.cache import folder

NAME = "counts"


class Counts(NamedTuple):
    """The counts of hits, misses, fills and evictions since the folder of the cache was created."""

    hits: int = 0
    hit_bytes: int = 0
    misses: int = 0
    fills: int = 0
    evictions: int = 0


_LAYOUT = struct.Struct(f"<{len(Counts._fields)}Q")


def add(**numbers: int) -> None:
    """Add numbers to the counts: ``hits=1`` adds 1 to the count ``hits``.

    The file of the counts is locked meanwhile. Raises OSError.
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
    """Return the present counts; all are 0 if nothing was counted yet. Raises OSError."""
    try:
        return _parsed(folder.path(NAME).read_bytes())
    except FileNotFoundError:
        return Counts()


def _parsed(content: bytes) -> Counts:
    if len(content) < _LAYOUT.size:
        return Counts()
    return Counts(*_LAYOUT.unpack_from(content))
