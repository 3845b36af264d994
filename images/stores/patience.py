"""A limit on the threads that wait for one file system, because it can hang (a dead NFS server).

So a file system that hangs does not occupy all threads of the process. A file system that is
only slow refuses no read: as long as reads end, other threads wait for their turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from images.errors import StoreError

MOST: Final = 8  # threads in one store's file system at once
HANGS_AFTER: Final = 5.0  # seconds in which none of them returns
SILENT: Final = "The store does not answer. Try again later."


class Patience:
    """A limit of eight threads of this process that read from one store's file system at once."""

    def __init__(self) -> None:
        self._inside = 0
        self._changed_at = 0.0  # when a thread last entered or returned
        self._returned = threading.Condition()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Wait until fewer than eight threads are reading; count this thread within the context.

        Raises StoreError if no thread begins or ends its reading for 5 seconds: the file system
        hangs.
        """
        with self._returned:
            self._wait()
            self._change(1)
        try:
            yield
        finally:
            with self._returned:
                self._change(-1)
                self._returned.notify()

    def _wait(self) -> None:
        while self._inside >= MOST:
            left = self._changed_at + HANGS_AFTER - time.monotonic()
            if left <= 0:
                raise StoreError(SILENT)
            self._returned.wait(left)

    def _change(self, count: int) -> None:
        self._inside += count
        self._changed_at = time.monotonic()
