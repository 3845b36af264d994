"""A queue that decides which request gets a thread next, fair to all client addresses.

A request is queued here when it has arrived completely. All functions run in the main thread.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import Final

from imagecatalog.web.connection import Connection

# The time for which a request counts as running. One that takes longer mostly waits, or
# transfers data.
COUNTED_SECONDS: Final = 0.5
COMPETING_SECONDS: Final = 2.0  # after its last request an address counts no more
BUSY: Final = 0.2  # fraction of a processor that a busy process uses at least
MEASURED_SECONDS: Final = 0.5


class FairQueue:
    """Requests that wait for a thread, with one queue for each client address.

    No request waits while the process has spare processor time, or while all requests come from one
    address. Otherwise each address has one running request at a time, so that many requests from
    one address do not delay the requests from another. More running requests would hardly end
    sooner, because Python runs one thread at a time.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[Connection]] = {}
        # The addresses that have waiting but no running requests.
        self._ready: dict[str, None] = {}
        self._seen: OrderedDict[str, float] = OrderedDict()  # the least recent first
        self._running: OrderedDict[Connection, tuple[float, str]] = OrderedDict()
        self._counts: Counter[str] = Counter()  # running requests of each address
        self._is_busy = False
        self._measured = self._used = 0.0

    def __bool__(self) -> bool:
        """Return whether at least one request waits for a thread."""
        return bool(self._queues)

    def count(self) -> int:
        """Return the number of requests that wait for a thread."""
        return sum(map(len, self._queues.values()))

    def measure(self, now: float, used: float) -> None:
        """Find out whether the process is busy, from the processor time that it has used so far.

        ``now`` is the monotonic time, ``used`` the processor time of the process, both in seconds.
        Only a busy process limits the running requests of an address.
        """
        passed = now - self._measured
        if passed >= MEASURED_SECONDS:
            self._is_busy = used - self._used > BUSY * passed
            self._measured, self._used = now, used

    def add(self, conn: Connection, now: float) -> None:
        """Queue the request of a connection. ``now`` is the monotonic time in seconds."""
        self._seen[conn.address] = now
        self._seen.move_to_end(conn.address)
        self._queues.setdefault(conn.address, deque()).append(conn)
        if not self._counts[conn.address]:
            self._ready[conn.address] = None

    def end(self, conn: Connection) -> None:
        """Stop counting the request of a connection as running, because it has ended.

        The queue itself stops counting a request that has run for half a second, because such a
        request mostly waits, for a store or a client.
        """
        running = self._running.pop(conn, None)
        if running is None:
            return
        address = running[1]
        self._counts[address] -= 1
        if self._counts[address]:
            return
        del self._counts[address]
        if address in self._queues:
            self._ready[address] = None

    def take(self, now: float) -> Connection | None:
        """Return the connection whose request gets a thread next; None if all requests must wait.

        ``now`` is the monotonic time in seconds.
        """
        self._forget(now)
        is_limited = self._is_busy and len(self._seen) > 1
        address = next(iter(self._ready if is_limited else self._queues), None)
        if address is None:
            return None
        self._ready.pop(address, None)
        conn = self._queues[address].popleft()
        if not self._queues[address]:
            del self._queues[address]
        self._running[conn] = now, address
        self._counts[address] += 1
        return conn

    def _forget(self, now: float) -> None:
        while self._seen and next(iter(self._seen.values())) < now - COMPETING_SECONDS:
            self._seen.popitem(last=False)
        while self._running:
            conn, (began, _) = next(iter(self._running.items()))
            if began > now - COUNTED_SECONDS:
                return
            self.end(conn)
