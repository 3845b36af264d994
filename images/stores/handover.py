"""Handover of blocks of data from the calling thread to a consumer thread.

obstore reads its iterator inside its own event loop, where a producer that reads from another
object store would make it panic. So the producer stays in the calling thread, which also has
the database connection and handles errors and signals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from queue import Queue
from threading import Thread
from typing import Self

DEPTH = 2  # blocks between the two threads


class _End(Enum):
    COMPLETE = "complete"
    ABORTED = "aborted"


class Aborted(Exception):
    """The error that the consumer gets when the producer fails: the consumer must undo its work."""


class Handover:
    """A context manager that hands blocks to ``consume``, which reads them in its own thread.

    Within the context, ``give`` passes blocks, and ``consume`` reads them as one iterator. A
    normal end of the context ends the iterator; after an exception in the context the iterator
    raises Aborted. ``error`` is the exception with which ``consume`` has failed.
    """

    def __init__(self, consume: Callable[[Iterator[bytes]], object]) -> None:
        self._consume = consume
        self._queue: Queue[bytes | _End] = Queue(DEPTH)
        self._end: _End | None = None
        self.error: BaseException | None = None
        self._thread = Thread(target=self._run, name="handover", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self.end(complete=kind is None)
        self._thread.join()

    @property
    def failed(self) -> bool:
        """Whether the consumer has failed, so that more blocks are useless."""
        return self.error is not None

    def give(self, block: bytes) -> None:
        """Pass a block to the consumer; wait while the consumer is two blocks behind."""
        self._queue.put(block)

    def end(self, *, complete: bool) -> None:
        """End the iterator that the consumer reads, without waiting until the consumer has ended.

        If the data is not ``complete``, the iterator raises Aborted. The end of the context
        ends the iterator, too, and then waits for the consumer; only the first end counts.
        """
        self._queue.put(_End.COMPLETE if complete else _End.ABORTED)

    def result(self) -> None:
        """Raise the error with which the consumer has failed, if any. Call it after the context."""
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._consume(self._blocks())
        except BaseException as error:
            self.error = error
        while self._end is None:  # or the producer would wait forever
            self._take()

    def _blocks(self) -> Iterator[bytes]:
        while (block := self._take()) is not None:
            yield block
        if self._end is _End.ABORTED:
            raise Aborted

    def _take(self) -> bytes | None:
        item = self._queue.get()
        if isinstance(item, _End):
            self._end = item
            return None
        return item
