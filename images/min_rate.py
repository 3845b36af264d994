"""How slowly data may come, and be taken. Knows neither who sends it nor what it is for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

# Who sends a byte now and then would otherwise hold a thread for ever.
SLOWEST = 1024  # bytes a second, on average
GRACE = 60.0  # seconds


def receive(
    blocks: Iterable[bytes], too_slow: Callable[[], Exception]
) -> Iterator[bytes]:
    """The same blocks; raises what ``too_slow`` makes when they come slower than SLOWEST.

    The time that the reader takes does not count. Leaves ``blocks`` open when it is closed
    itself: somebody else may read on.
    """
    began, size = time.monotonic(), 0
    for block in blocks:
        size += len(block)
        if size < (time.monotonic() - began - GRACE) * SLOWEST:
            raise too_slow()
        given = time.monotonic()
        yield block
        began += time.monotonic() - given


def send(blocks: Iterable[bytes], too_slow: Callable[[], Exception]) -> Iterator[bytes]:
    """The same blocks; raises what ``too_slow`` makes when they are taken slower than SLOWEST.

    The time in which they come does not count. A reader is only looked at when he asks for
    the next block: they should be small.
    """
    spent, size = 0.0, 0
    for block in blocks:
        if size < (spent - GRACE) * SLOWEST:
            raise too_slow()
        given = time.monotonic()
        yield block
        spent += time.monotonic() - given
        size += len(block)
