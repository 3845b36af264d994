"""Durable files: bytes go to the disk while more arrive, so that the last fsync is short."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

PART = ".part"  # ends the name of what is being written, or was when its process died
EVERY = 64 << 20  # bytes between two starts
STEP = 1 << 20  # bytes


def sync_folder(folder: Path) -> None:
    """The names in it are on the disk when it returns. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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

    def write(self, block: bytes) -> None:
        """All of it; starts a sync when enough bytes wait for one. Raises OSError."""
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._file, rest[:STEP]) :]
        self._unsynced += len(block)
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
