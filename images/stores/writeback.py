"""Sends written bytes to the disk while more arrive, so that the last fsync is short."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

EVERY = 64 << 20  # bytes between two starts


class WriteBack:
    """For one open file; a context manager that leaves no thread behind."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._unsynced = 0
        self._running: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="write-back")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def written(self, count: int) -> None:
        """Note ``count`` more bytes; starts a sync when enough of them wait. Raises OSError."""
        self._unsynced += count
        if self._unsynced < EVERY or (self._running and not self._running.done()):
            return
        self._collect()
        self._unsynced = 0
        self._running = self._thread.submit(os.fdatasync, self._file)

    def finish(self) -> None:
        """Everything is on the disk when it returns. Raises OSError."""
        self._collect()
        os.fsync(self._file)

    def _collect(self) -> None:
        # The kernel reports a lost write once: if the background sync got the error, the
        # last fsync would succeed.
        if self._running is not None:
            self._running.result()
