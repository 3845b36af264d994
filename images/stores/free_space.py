"""The reserve of free space on a file system (IMAGECATALOG_STORE_RESERVE), which no upload uses.

So other files on it, such as the database in the data folder, can still be written when the
store refuses data.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from threading import Lock

from django.conf import settings

from images.errors import StoreFull

STEP = 16 << 20  # bytes claimed ahead of data that has just begun
MOST = 1 << 30  # bytes kept free by default, on file systems of 50 GiB and more
PART = 50  # on smaller file systems a fiftieth is kept free

_lock = Lock()
_coming: Counter[int] = Counter()  # bytes claimed and not yet written, by device


class Claim:
    """The space on a file system that one writer has claimed for data that is not yet written.

    A writer claims in advance as much as it has written, at least 16 MiB. So a writer that
    announces much data but sends little does not keep others from writing. Claims of other
    processes are not seen, only the data that they have written.
    """

    def __init__(self, folder: Path, size: int | None) -> None:
        """Claim space in ``folder`` for the beginning of the data, at most 16 MiB.

        ``size`` is the size of all data in bytes, or None if it is unknown; then the first
        space is claimed when data is written. Raises StoreFull if all data would use the
        reserve of free space, OSError if the file system fails.
        """
        self._folder, self._device = folder, os.stat(folder).st_dev
        self._size, self._left, self._written = size, 0, 0
        self.extend(min(size or 0, STEP), needed=size or 0)

    def extend(self, count: int, needed: int = 0) -> None:
        """Claim ``count`` more bytes.

        ``needed`` is the number of bytes that the writer will write in all, if it is known.
        Raises StoreFull if ``count`` or ``needed`` bytes would use the reserve of free space,
        OSError if the file system fails.
        """
        with _lock:
            status = os.statvfs(self._folder)
            free = status.f_bavail * status.f_frsize - _coming[self._device]
            if max(count, needed) > free - _reserve(status):
                raise full()
            self._change(count)

    def use(self, count: int) -> None:
        """Count ``count`` bytes of the claim as written; extend the claim if it is too small.

        Raises StoreFull if the extension would use the reserve of free space, OSError if the
        file system fails.
        """
        if count > self._left:
            self._grow(count - self._left)
        with _lock:
            self._change(-count)
            self._written += count

    def release(self) -> None:
        """Give back the bytes of the claim that were not used."""
        with _lock:
            self._change(-self._left)

    def _grow(self, least: int) -> None:
        ahead = STEP
        if self._size is not None:
            rest = self._size - self._written - self._left
            ahead = min(max(self._written, STEP), rest)
        try:
            self.extend(max(least, ahead))
        except StoreFull:
            self.extend(least)

    def _change(self, count: int) -> None:
        self._left += count
        _coming[self._device] += count


def full() -> StoreFull:
    """Return the error for data that does not fit into the store."""
    return StoreFull("The store is full. Free space in it, or use another store.")


def _reserve(status: os.statvfs_result) -> int:
    configured = settings.IMAGECATALOG_STORE_RESERVE
    if configured is not None:
        return int(configured)
    return min(MOST, status.f_blocks * status.f_frsize // PART)
