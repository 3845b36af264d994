"""Writing of one stream of blocks by several writers at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

from images.stores.handover import Aborted, Handover

Writer = Callable[[Iterable[bytes]], object]


def write(
    writers: Sequence[Writer], blocks: Iterable[bytes], *, all_must_succeed: bool
) -> list[BaseException | None]:
    """Pass the blocks to all writers, and return the error of each one; None: it succeeded.

    Every writer of several has a thread of its own, which is at most a few blocks behind, so
    that the slowest one limits the speed, and the memory is bounded. If no writer is left, or one
    fails while ``all_must_succeed``, the others are aborted, and their error is Aborted.

    Raises what the iteration of the blocks raises, and the error of a single writer.
    """
    if len(writers) == 1:
        writers[0](blocks)
        return [None]
    lanes = [Handover(writer) for writer in writers]
    with ExitStack() as running:
        for lane in lanes:
            running.enter_context(lane)
        is_complete = _feed(lanes, blocks, all_must_succeed)
        # All at once, because to complete an object can take long.
        for lane in lanes:
            lane.end(complete=is_complete)
    return [lane.error for lane in lanes]


def _feed(
    lanes: Sequence[Handover], blocks: Iterable[bytes], all_must_succeed: bool
) -> bool:
    """Give all blocks to the lanes; return False when the rest became useless."""
    for block in blocks:
        open_lanes = [lane for lane in lanes if not lane.failed]
        if not open_lanes or (all_must_succeed and len(open_lanes) < len(lanes)):
            return False
        for lane in open_lanes:
            lane.give(block)
    return True


def reason(failures: Iterable[BaseException | None]) -> BaseException | None:
    """Return the first error that is the reason why others were aborted."""
    errors = (error for error in failures if error is not None)
    return next((error for error in errors if not isinstance(error, Aborted)), None)
