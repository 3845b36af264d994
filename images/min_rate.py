"""The minimum rate at which data must arrive and be read; slower streams are aborted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

# Clients that send one byte now and then would otherwise hold a thread forever.
SLOWEST = 1024  # bytes a second, on average
GRACE = 10.0  # seconds that a sender may be slower
PAUSE = 60.0  # seconds that a receiver may be slower: its disk or its user may pause


def receive(
    blocks: Iterable[bytes],
    too_slow: Callable[[], Exception],
    grace: float | None = None,
) -> Iterator[bytes]:
    """Yield the blocks; raise ``too_slow()`` if they arrive more slowly than SLOWEST (bytes/s).

    The sender may be slower for ``grace`` seconds, by default GRACE. The time before the first
    block, and the time that the consumer of this generator takes, do not count. Closing this
    generator does not close ``blocks``: the caller may continue to read them.
    """
    grace = GRACE if grace is None else grace
    began, size = 0.0, 0
    for block in blocks:
        began = began or time.monotonic()
        size += len(block)
        if size < (time.monotonic() - began - grace) * SLOWEST:
            raise too_slow()
        yielded_at = time.monotonic()
        yield block
        began += time.monotonic() - yielded_at


def send(blocks: Iterable[bytes], too_slow: Callable[[], Exception]) -> Iterator[bytes]:
    """Yield the blocks; raise ``too_slow()`` if the reader takes them more slowly than SLOWEST.

    SLOWEST is in bytes a second. The time in which the blocks arrive does not count. The rate
    is checked only when the reader asks for the next block, so blocks should be small.
    """
    spent, size = 0.0, 0
    for block in blocks:
        if size < (spent - PAUSE) * SLOWEST:
            raise too_slow()
        yielded_at = time.monotonic()
        yield block
        spent += time.monotonic() - yielded_at
        size += len(block)
