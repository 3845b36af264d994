"""Writing of durable files: data is synced while more arrives, so that the final fsync is short."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

PART = ".part"  # suffix of files that are being written, or whose writer died
EVERY = 16 << 20  # bytes between two syncs
STEP = 1 << 20  # bytes


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that the names in it are durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class WriteBack:
    """A writer of one open file, which syncs it in the background while more data arrives.

    A context manager that ends its thread on exit. ``finish`` makes the data durable. With
    ``rarely_read`` the synced data leaves the page cache.
    """

    def __init__(self, file: int, *, rarely_read: bool = False) -> None:
        self._file = file
        self._rarely_read = rarely_read
        self._unsynced = 0
        self._running: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="write-back")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def write(self, block: bytes) -> None:
        """Write a block; start a sync in the background after every 16 MiB. Raises OSError."""
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._file, rest[:STEP]) :]
        self._unsynced += len(block)
        if self._unsynced < EVERY or (self._running and not self._running.done()):
            return
        self._collect()
        self._unsynced = 0
        self._running = self._thread.submit(self._sync)

    def finish(self) -> None:
        """Sync the file, so that all its data is durable. Raises OSError."""
        self._collect()
        os.fsync(self._file)
        self._leave_page_cache()

    def _sync(self) -> None:
        os.fdatasync(self._file)
        self._leave_page_cache()

    def _leave_page_cache(self) -> None:
        if self._rarely_read:
            os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)

    def _collect(self) -> None:
        # The kernel reports a lost write only once: after an error in the background sync the
        # final fsync would succeed.
        if self._running is not None:
            self._running.result()
