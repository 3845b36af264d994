"""The places of transfers among all of their process, and how fast the transfers are."""

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
    """A transfer that is counted for its client's address and its project.

    An empty address, or no project, is not counted.
    """

    def __init__(
        self,
        address: str,
        project: str | None,
        moved: Callable[[], int] | None = None,
        end: Callable[[], None] | None = None,
    ) -> None:
        """Describe a transfer that begins now.

        ``moved`` returns how many bytes its connection has carried, or raises OSError; ``end``
        makes the transfer fail. Without them it cannot be ended.
        """
        self.address, self.project = address, project
        named = ("address", address), ("project", project or "")
        self.holders = [holder for holder in named if holder[1]]
        self.end = end
        self._moved = moved
        now = time.monotonic()
        self._earlier = self._recent = now, self._count()

    def rate(self) -> float:
        """Return the rate in bytes a second, measured over 10 seconds or more if it is that old.

        The rate of a connection that does not count its bytes is infinite.
        """
        now, count = time.monotonic(), self._count()
        if now - self._recent[0] > PERIOD:
            self._earlier, self._recent = self._recent, (now, count)
        since, before = self._earlier
        return math.inf if count is None else (count - (before or 0)) / (now - since)

    def is_slow(self) -> bool:
        """Return whether the transfer, unless it is young, moves fewer than 16 KiB a second."""
        return time.monotonic() - self._earlier[0] > YOUNG and self.rate() < SLOW

    def _count(self) -> int | None:
        try:
            return self._moved() if self._moved else None
        except OSError:  # closed, or a Unix socket
            return None
