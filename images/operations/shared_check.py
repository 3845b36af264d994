"""A check that many threads ask for and that may hang: it runs in one thread, once at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedCheck(Generic[T]):
    """A check that runs in its own thread, only once at a time however many threads ask for it."""

    def __init__(self, check: Callable[[], T], name: str, fresh: float = 0.0) -> None:
        """Prepare to call ``check`` in a thread with this name.

        For ``fresh`` seconds after a call began, its result is returned again without a new call.
        """
        self._check, self._fresh = check, fresh
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._last: Future[T] | None = None
        self._began = 0.0

    def result(self, patience: float) -> T:
        """Return the result of a running check, of a recent one that is fresh, or of a new one.

        Raises TimeoutError if that takes longer than ``patience`` seconds, and the error of the
        check.
        """
        return self._current().result(patience)

    def _current(self) -> Future[T]:
        with self._lock:
            if self._last and not self._last.done():
                return self._last
            now = time.monotonic()
            if self._last is None or now - self._began > self._fresh:
                self._began = now
                self._last = self._thread.submit(self._check)
            return self._last
