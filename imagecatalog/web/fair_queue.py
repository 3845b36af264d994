"""The order in which whole requests get a thread of this process.

Everything here happens in the main thread.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import Final

from imagecatalog.web.connection import Connection

# A request that takes longer mostly waits, or transfers data.
COUNTED_SECONDS: Final = 0.5
COMPETING_SECONDS: Final = 2.0  # since the last request of an address
BUSY: Final = 0.2  # of a processor
MEASURED_SECONDS: Final = 0.5


class FairQueue:
    """Requests that wait for a thread, in one queue for each address.

    While the process has time, or requests come from one address only, none waits. Else each
    address has one running request at a time, so that many of one do not slow down those of
    another. (More at once would hardly end sooner, because Python runs one thread at a time.)
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[Connection]] = {}
        # Those of addresses without a running request.
        self._ready: dict[str, None] = {}
        self._seen: OrderedDict[str, float] = OrderedDict()  # the least recent first
        self._running: OrderedDict[Connection, tuple[float, str]] = OrderedDict()
        self._counts: Counter[str] = Counter()  # running requests of each address
        self._is_busy = False
        self._measured = self._used = 0.0

    def __bool__(self) -> bool:
        """Whether a request waits."""
        return bool(self._queues)

    def measure(self, now: float, used: float) -> None:
        """Note at the time ``now`` how much processor time the process has used. In seconds."""
        passed = now - self._measured
        if passed >= MEASURED_SECONDS:
            self._is_busy = used - self._used > BUSY * passed
            self._measured, self._used = now, used

    def add(self, conn: Connection, now: float) -> None:
        """Let a request wait for a thread. ``now`` is the monotonic time in seconds."""
        self._seen[conn.address] = now
        self._seen.move_to_end(conn.address)
        self._queues.setdefault(conn.address, deque()).append(conn)
        if not self._counts[conn.address]:
            self._ready[conn.address] = None

    def end(self, conn: Connection) -> None:
        """Note that a request has ended, or that it no longer counts."""
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
        """Return the connection whose request gets a thread now, or None if all must wait."""
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
