"""Running transfers as the limits on concurrent transfers count them, and their data rates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

SLOW: Final = 16 << 10  # bytes a second
# Seconds, the least over which a rate is measured, unless the transfer is younger.
PERIOD: Final = 10.0
YOUNG: Final = 2.0  # seconds in which a transfer is not slow yet


class Place:
    """A running transfer, which takes one of the places that a limit on concurrent transfers has.

    The limit counts transfers by the address of their client, and by the client's project. An empty
    address, and a missing project, are not counted.
    """

    def __init__(
        self,
        address: str,
        project: str | None,
        moved: Callable[[], int] | None = None,
        end: Callable[[], None] | None = None,
        delayed: Callable[[], bool] | None = None,
    ) -> None:
        """Describe a transfer that begins now.

        ``address`` is the network address of the client, empty if unknown; ``project`` is the
        client's project, None if there is none. ``moved`` returns how many bytes the transfer's
        connection has carried, or raises OSError; without it the rate is unknown. ``end`` makes the
        transfer fail; without it the transfer cannot be ended early. ``delayed`` returns whether
        the service delays the transfer at present, for example because of its store, or raises
        OSError.
        """
        self.address, self.project = address, project
        named = ("address", address), ("project", project or "")
        self.holders = [holder for holder in named if holder[1]]
        self.end = end
        self._moved, self._delayed = moved, delayed
        now = time.monotonic()
        self._earlier = self._recent = now, self._count()

    def rate(self) -> float:
        """Return the bytes a second that the transfer has moved in its last 10 seconds or more.

        A younger transfer is measured from its beginning. The rate is infinite if the
        connection does not count its bytes.
        """
        now, count = time.monotonic(), self._count()
        if now - self._recent[0] > PERIOD:
            self._earlier, self._recent = self._recent, (now, count)
        since, before = self._earlier
        return math.inf if count is None else (count - (before or 0)) / (now - since)

    def is_slow(self) -> bool:
        """Return whether the client moves fewer than 16 KiB a second.

        Always False in the first 2 seconds of the transfer, and while the service delays it.
        """
        is_young = time.monotonic() - self._earlier[0] <= YOUNG
        return not is_young and self.rate() < SLOW and not self._is_delayed()

    def _is_delayed(self) -> bool:
        try:
            return self._delayed is not None and self._delayed()
        except OSError:  # closed
            return False

    def _count(self) -> int | None:
        try:
            return self._moved() if self._moved else None
        except OSError:  # closed, or a Unix socket
            return None
