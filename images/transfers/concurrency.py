"""Limits on concurrent transfers, and on concurrent reads from external web servers.

Slow clients and slow servers must not hold every thread of the service.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from images import errors

LEAST_RESERVE = 8  # threads


class Shares:
    """The threads of a process that may send or receive data, shared by all clients.

    One address and one project get at most half of them. A quarter of all threads, at least 8,
    stays free for other requests; if there are few threads, half of them.
    """

    def __init__(self, threads: int) -> None:
        """Share this number of threads."""
        reserve = min(max(threads // 4, LEAST_RESERVE), threads // 2)
        self.places = threads - reserve
        self._taken: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def take(self, address: str, project: str | None) -> list[tuple[str, str]]:
        """Take a place, and return what ``release`` needs. Raises TooManyTransfers.

        An empty address is not known, and has no share of its own.
        """
        holders = [("address", address), ("project", project or "")]
        holders = [("all", ""), *(holder for holder in holders if holder[1])]
        with self._lock:
            for kind, name in holders:
                limit = self.places if kind == "all" else max(self.places // 2, 1)
                if self._taken[kind, name] >= limit:
                    raise errors.TooManyTransfers(WHOSE[kind])
            self._taken.update(holders)
        return holders

    def release(self, holders: list[tuple[str, str]]) -> None:
        """Give a place back."""
        with self._lock:
            self._taken.subtract(holders)
            for holder in holders:
                if not self._taken[holder]:
                    del self._taken[holder]


WHOSE = {
    "all": "Too much data is sent and received at once. Try again in a few seconds.",
    "address": "Your address sends and receives too much data at once. Wait until one of "
    "its uploads or downloads has ended, and try again.",
    "project": "Your project sends and receives too much data at once. Wait until one of "
    "its uploads or downloads has ended, and try again.",
}
_shares = Shares(64)


def share(threads: int) -> None:
    """Share the threads of this process among transfers."""
    global _shares
    _shares = Shares(threads)


def shares() -> Shares:
    """Return the shares of this process."""
    return _shares


# Limits per process. PROBES and READS fit into LEAST_RESERVE.
PROBES = BoundedSemaphore(4)  # checks of URLs before they are used
READS = BoundedSemaphore(3)  # complete reads of data before it is used, for minutes
DOWNLOADS = BoundedSemaphore(16)  # downloads of data at a location's URL
WAIT_SECONDS = 5.0  # seconds


@contextmanager
def slot(slots: BoundedSemaphore, until: float | None = None) -> Iterator[None]:
    """Hold one of ``slots`` within the context. Raises StoreError if none becomes free in time.

    Waits until ``until`` (monotonic clock), or by default for WAIT_SECONDS.
    """
    if until is None:
        until = time.monotonic() + WAIT_SECONDS
    if not slots.acquire(timeout=max(0.0, until - time.monotonic())):
        raise errors.StoreError(
            "Too many URLs are being read at once. Try again in a few seconds."
        )
    try:
        yield
    finally:
        slots.release()
