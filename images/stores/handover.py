"""Hands blocks from the calling thread to one that consumes them. Knows no store.

obstore pulls its iterator from inside its own event loop, where a producer that reads from
another object store would make it panic. So the producer stays in the calling thread, where its
errors, its database connection and its signals belong.
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
    BROKEN_OFF = "broken off"


class BrokenOff(Exception):
    """What the consumer sees when the producer fails; it must undo its work."""


class Handover:
    """A context manager: ``consume`` runs from entry to exit, in a thread of its own.

    A with block that ends normally completes the stream, an exception breaks it off.
    """

    def __init__(self, consume: Callable[[Iterator[bytes]], object]) -> None:
        self._consume = consume
        self._queue: Queue[bytes | _End] = Queue(DEPTH)
        self._end: _End | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="handover", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._queue.put(_End.BROKEN_OFF if kind else _End.COMPLETE)
        self._thread.join()

    @property
    def failed(self) -> bool:
        """True as soon as the consumer has given up; more blocks are of no use."""
        return self._error is not None

    def give(self, block: bytes) -> None:
        """Waits while the consumer is behind."""
        self._queue.put(block)

    def result(self) -> None:
        """After the with block: raises what the consumer raised."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._consume(self._blocks())
        except BaseException as error:
            self._error = error
        while self._end is None:  # who gives must never wait for ever
            self._take()

    def _blocks(self) -> Iterator[bytes]:
        while (block := self._take()) is not None:
            yield block
        if self._end is _End.BROKEN_OFF:
            raise BrokenOff

    def _take(self) -> bytes | None:
        item = self._queue.get()
        if isinstance(item, _End):
            self._end = item
            return None
        return item
