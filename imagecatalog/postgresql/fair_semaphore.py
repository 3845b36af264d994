"""A semaphore that serves threads in the order in which they ask."""

from __future__ import annotations

import threading
from collections import deque


class FairSemaphore:
    """A semaphore for several threads; when it is released, the longest-waiting thread gets it.

    With Python's semaphore, a thread that has just released it can acquire it again before the
    waiting threads. In a burst of requests some threads would then wait until their timeout.
    """

    def __init__(self, value: int) -> None:
        """Create a semaphore that up to ``value`` threads can hold at the same time."""
        self._free = value
        self._waiting: deque[threading.Lock] = (
            deque()
        )  # each is released for its thread
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """The number of threads that can still acquire the semaphore without waiting."""
        return self._free

    @property
    def waiting(self) -> int:
        """The number of threads that wait for the semaphore."""
        return len(self._waiting)

    def acquire(self, timeout: float) -> bool:
        """Acquire the semaphore; return False if that takes longer than ``timeout`` seconds."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            place = threading.Lock()
            place.acquire()
            self._waiting.append(place)
        return place.acquire(timeout=timeout) or not self._leave(place)

    def release(self) -> None:
        """Release the semaphore, and give it to the thread that has waited for longest, if any."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def _leave(self, place: threading.Lock) -> bool:
        """Remove this thread, whose wait has timed out, from the waiting threads.

        ``place`` is the lock on which the thread waits. Returns False if the thread is no longer
        among them, because it was given the semaphore in the meantime.
        """
        with self._lock:
            if place not in self._waiting:
                return False
            self._waiting.remove(place)
            return True
