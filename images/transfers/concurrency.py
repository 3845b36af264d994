"""Limits on concurrent transfers, and on concurrent reads from external web servers.

Slow clients and slow servers must not hold every thread of the service.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, RLock

from images import errors, process_metrics
from images.transfers.places import Place

log = logging.getLogger(__name__)
LEAST_RESERVE = 8  # threads
ENDING = 64  # at most so many downloads without a thread are being ended


class Shares:
    """A limit on the concurrent transfers of this process, which all clients share fairly.

    ``places`` is the number of transfers that can run at once. The transfers of one client address,
    and the transfers of one project, can take at most half of the places. If all places are taken,
    a new transfer can end a running transfer of another client. That client must have more running
    transfers than the new transfer's client, counting the new transfer. If the transfer to be ended
    is slow, as many transfers suffice.
    """

    def __init__(self, places: int, ending: int, spares_fast: bool = False) -> None:
        """Allow ``places`` transfers at once.

        At most ``ending`` transfers are being ended at a time, to make room for new transfers.
        With ``spares_fast`` only slow transfers are ended.
        """
        self.places, self._most_ending, self._spares_fast = places, ending, spares_fast
        self._running: set[Place] = set()
        self._ending: set[Place] = set()
        self._taken: Counter[tuple[str, str]] = Counter()
        # Reentrant: garbage collection of a lost response can call `release` in a thread that has
        # the lock.
        self._lock = RLock()

    @property
    def running(self) -> int:
        """The number of transfers that run, each in one of the places."""
        return len(self._running)

    def take(self, place: Place) -> Place:
        """Count the transfer ``place`` as running until ``release`` is called with it; return ``place``.

        If the limit is reached, a transfer of another client is ended to make room, if the rules of
        the class allow that. Raises TooManyTransfers if the client's address or project is at its
        limit, or if no other transfer can be ended.
        """
        with self._lock:
            is_full = len(self._running) >= self.places
            limit = self._own_limit(place)
            if limit is None and is_full and not self._end_another(place):
                limit = "all"
            if limit is None:
                self._running.add(place)
                self._taken.update(place.holders)
        # Not while this lock is held: counting takes another one, and a garbage collection can
        # release a place meanwhile.
        if limit is not None:
            process_metrics.count("client_transfers_refused_total", limit)
            raise errors.TooManyTransfers(WHOSE[limit])
        if is_full:
            process_metrics.count("client_transfers_ended_total")
        return place

    def _own_limit(self, place: Place) -> str | None:
        """Return which limit the client of the new transfer ``place`` has reached.

        The result is ``address`` or ``project`` if the transfers of the client's address or project
        take half of all places; None if neither limit is reached.
        """
        most = max(self.places // 2, 1)
        for kind, name in place.holders:
            if self._taken[kind, name] >= most:
                return kind
        return None

    def release(self, place: Place) -> None:
        """Count a transfer as no longer running, so that another can begin. Safe to call twice."""
        with self._lock:
            self._ending.discard(place)
            self._leave(place)

    def _leave(self, place: Place) -> None:
        if place not in self._running:
            return
        self._running.remove(place)
        self._taken.subtract(place.holders)
        for holder in place.holders:
            if not self._taken[holder]:
                del self._taken[holder]

    def _end_another(self, newcomer: Place) -> bool:
        """End a running transfer of another client, to make room for the transfer ``newcomer``.

        Of the transfers that can be ended, ends the slowest transfer of the client with the most
        running transfers. Returns True if a transfer was ended, False if none can be ended.
        """
        claim = self._number(newcomer) + 1
        found = [it for it in list(self._running) if self._may_end(it, claim)]
        if not found or len(self._ending) >= self._most_ending:
            return False
        place = max(found, key=lambda it: (self._number(it), -it.rate()))
        assert place.end
        log.warning(
            "a transfer of address %s, project %s, at %.0f bytes a second, is ended for one of "
            "address %s, project %s: no place is free",
            *(place.address, place.project, place.rate()),
            *(newcomer.address, newcomer.project),
        )
        self._leave(place)
        self._ending.add(place)
        place.end()
        return True

    def _may_end(self, place: Place, claim: int) -> bool:
        if not place.end:
            return False
        number = self._number(place)
        if number > claim and not self._spares_fast:
            return True
        return number >= claim and place.is_slow()

    def _number(self, place: Place) -> int:
        """Return how many transfers the client of the transfer ``place`` runs at present.

        They are counted by its address and by its project; the result is the greater number.
        """
        return max((self._taken[holder] for holder in place.holders), default=0)


WHOSE = {
    "all": "Too much data is sent and received at once. Try again in a few seconds.",
    "address": "Your address sends and receives too much data at once. Wait until one of "
    "its uploads or downloads has ended, and try again.",
    "project": "Your project sends and receives too much data at once. Wait until one of "
    "its uploads or downloads has ended, and try again.",
}


def of_threads(threads: int) -> Shares:
    """Return the limit on transfers that occupy a thread each, for a number of threads.

    A quarter of all threads, at least 8, stays free for other requests; if there are few
    threads, half of them.
    """
    reserve = min(max(threads // 4, LEAST_RESERVE), threads // 2)
    return Shares(threads - reserve, max(reserve // 4, 1))


def of_connections(connections: int) -> Shares:
    """Return the limit on downloads that occupy only a connection: the kernel sends the data.

    They can use three quarters of the process's ``connections``.
    """
    return Shares(max(connections * 3 // 4, 1), ENDING, spares_fast=True)


_shares = of_threads(64)
_sent_shares = of_connections(8192)


def share(threads: int, connections: int) -> None:
    """Set the limits of this process on transfers, from its numbers of threads and connections."""
    global _shares, _sent_shares
    _shares, _sent_shares = of_threads(threads), of_connections(connections)


def shares() -> Shares:
    """Return this process's limit on transfers that occupy a thread."""
    return _shares


def sent_shares() -> Shares:
    """Return this process's limit on downloads whose files the kernel sends."""
    return _sent_shares


# Limits per process. PROBES and READS fit into LEAST_RESERVE.
PROBES = BoundedSemaphore(4)  # checks of URLs before they are used
READS = BoundedSemaphore(3)  # complete reads of data before it is used, for minutes
DOWNLOADS = BoundedSemaphore(16)  # downloads of data at a location's URL
WAIT_SECONDS = 5.0  # seconds


@contextmanager
def slot(slots: BoundedSemaphore, until: float | None = None) -> Iterator[None]:
    """Hold one of ``slots``, which limit reads from URLs, within the context.

    Waits for a free slot until the time ``until`` (monotonic clock), by default for 5 seconds.
    Raises StoreError if no slot becomes free in time.
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
