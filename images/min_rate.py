"""The minimum rate at which a stream of data has to move; slower streams are aborted.

Time in which this process does not run, because the machine is overloaded or suspended, is not
counted: the process could neither read nor send.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

# Clients that send one byte now and then would otherwise hold a thread forever.
SLOWEST = 1024  # bytes a second, on average
GRACE = 10.0  # seconds in which a sender can be slower
PAUSE = 60.0  # seconds in which a receiver can be slower: it may pause
TICK = 0.5  # seconds

# The thread that measures how long this process runs. A fork does not have it.
_ticker: threading.Thread | None = None
_ticked = 0.0, 0.0  # seconds that the process had run at the last tick, and its time


def clock() -> float:
    """Return the seconds that this process has run since the first call.

    Time in which the machine was suspended, or too busy to run the process, is not counted.
    """
    global _ticker, _ticked
    if _ticker is None or not _ticker.is_alive():
        _ticked = _ticked[0], time.monotonic()
        _ticker = threading.Thread(target=_tick, name="min-rate clock", daemon=True)
        _ticker.start()
    return _run_time()


def _run_time() -> float:
    # A process that runs has ticked not long ago.
    ran, at = _ticked
    return ran + min(time.monotonic() - at, 2 * TICK)


def _tick() -> None:
    global _ticked
    while True:
        time.sleep(TICK)
        _ticked = _run_time(), time.monotonic()


def receive(
    blocks: Iterable[bytes],
    too_slow: Callable[[], Exception],
    grace: float | None = None,
    slowest: int = SLOWEST,
) -> Iterator[bytes]:
    """Yield the blocks; raise ``too_slow()`` if they arrive more slowly than a minimum rate.

    The rate is ``slowest`` bytes per second on average, by default 1 KiB. The sender can be slower
    for ``grace`` seconds, by default 10. The time before the first block, and the time that the
    consumer of this generator takes, do not count. Closing this generator does not close
    ``blocks``: the caller can continue to read them.
    """
    grace = GRACE if grace is None else grace
    began: float | None = None
    size = 0
    for block in blocks:
        began = clock() if began is None else began
        size += len(block)
        if size < (clock() - began - grace) * slowest:
            raise too_slow()
        yielded_at = clock()
        yield block
        began += clock() - yielded_at


def send(blocks: Iterable[bytes], too_slow: Callable[[], Exception]) -> Iterator[bytes]:
    """Yield the blocks; raise ``too_slow()`` if the reader takes less than 1 KiB a second of them.

    The reader can be slower for 60 seconds. The time in which the blocks arrive does not count.
    The rate is checked only when the reader asks for the next block, so blocks should be small.
    """
    spent, size = 0.0, 0
    for block in blocks:
        if size < (spent - PAUSE) * SLOWEST:
            raise too_slow()
        yielded_at = clock()
        yield block
        spent += clock() - yielded_at
        size += len(block)
