"""Writing of one stream of blocks by several writers at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

from images.stores.handover import Aborted, Handover

Writer = Callable[[Iterable[bytes]], object]


def write(
    writers: Sequence[Writer], blocks: Iterable[bytes], *, all_must_succeed: bool
) -> list[BaseException | None]:
    """Pass the blocks to all writers; return for each writer its error, or None if it succeeded.

    Each of several writers has a thread of its own, which is at most a few blocks behind: the
    slowest writer limits the speed, and the memory is bounded. If one writer fails while
    ``all_must_succeed``, the other writers are aborted, and their error is Aborted.

    Raises the errors of the iteration of the blocks. If there is only one writer, its error is
    raised, not returned.
    """
    if len(writers) == 1:
        writers[0](blocks)
        return [None]
    handovers = [Handover(writer) for writer in writers]
    with ExitStack() as running:
        for handover in handovers:
            running.enter_context(handover)
        is_complete = _feed(handovers, blocks, all_must_succeed)
        # Without waiting for each, because completing an object can take long.
        for handover in handovers:
            handover.end(complete=is_complete)
    return [handover.error for handover in handovers]


def _feed(
    handovers: Sequence[Handover], blocks: Iterable[bytes], all_must_succeed: bool
) -> bool:
    """Pass the blocks to all writers; return whether all blocks were passed.

    Stops early, and returns False, when all writers have failed or, if ``all_must_succeed``,
    when one has failed.
    """
    for block in blocks:
        working = [handover for handover in handovers if not handover.failed]
        if not working or (all_must_succeed and len(working) < len(handovers)):
            return False
        for handover in working:
            handover.give(block)
    return True


def reason(failures: Iterable[BaseException | None]) -> BaseException | None:
    """Return the first failure that is not Aborted: why the other writers were aborted.

    Returns None if there is no such failure.
    """
    errors = (error for error in failures if error is not None)
    return next((error for error in errors if not isinstance(error, Aborted)), None)
