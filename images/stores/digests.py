"""Digests of a stream while it flows by, one thread each. Knows no store, no image.

hashlib lets go of the GIL for large blocks, so that two digests and the copy to the store run
side by side instead of one after the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from queue import Queue
from threading import Thread
from typing import Self

DEPTH = 4  # blocks that may wait for one thread; bounds the memory


class Digests:
    """Use as a context manager: its threads live from entry to exit, whatever happens between.

    ``size`` is the number of bytes fed so far.
    """

    def __init__(self, *algorithms: str) -> None:
        """Takes names that hashlib knows; ValueError for others."""
        self.size = 0
        self._lanes = {name: _Lane(name) for name in algorithms}

    def __enter__(self) -> Self:
        for lane in self._lanes.values():
            lane.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def feed(self, block: bytes) -> None:
        """Hand one block to every thread; waits while one of them is DEPTH blocks behind.

        The block must not change afterwards. An error of a thread comes out here.
        """
        self.size += len(block)
        for lane in self._lanes.values():
            lane.feed(block)

    def hexdigests(self) -> dict[str, str]:
        """Algorithm -> lower-case hexadecimal digest of all bytes fed. Ends the feeding."""
        self._end()
        return {name: lane.hexdigest() for name, lane in self._lanes.items()}

    def _end(self) -> None:
        for lane in self._lanes.values():
            if lane.thread.is_alive():
                lane.blocks.put(None)
        for lane in self._lanes.values():
            lane.thread.join()


class _Lane:
    """One algorithm, its thread and the blocks that wait for it."""

    def __init__(self, algorithm: str) -> None:
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._error: BaseException | None = None
        self.blocks: Queue[bytes | None] = Queue(DEPTH)
        self.thread = Thread(target=self._run, name=f"digest-{algorithm}", daemon=True)

    def feed(self, block: bytes) -> None:
        if self._error is not None:
            raise self._error
        if not self.thread.is_alive():
            raise RuntimeError(
                "Digests are fed inside their with block, before the end."
            )
        self.blocks.put(block)

    def hexdigest(self) -> str:
        if self._error is not None:
            raise self._error
        return self._hash.hexdigest()

    def _run(self) -> None:
        while (block := self.blocks.get()) is not None:
            # After an error the queue is still emptied: who feeds must never wait for ever.
            if self._error is None:
                self._update(block)

    def _update(self, block: bytes) -> None:
        try:
            self._hash.update(block)
        except BaseException as error:
            self._error = error


def digesting(blocks: Iterable[bytes], digests: Digests) -> Iterator[bytes]:
    """The very same blocks, each fed to ``digests`` before it is passed on."""
    for block in blocks:
        digests.feed(block)
        yield block
