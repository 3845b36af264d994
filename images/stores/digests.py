"""Digests of a stream, computed in one thread for each algorithm.

hashlib releases the GIL for large blocks, so that two digests and the write to the store run
in parallel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from queue import Queue
from threading import Thread
from typing import Self

DEPTH = 4  # blocks that can wait for one thread; limits the memory


class Digests:
    """Computes digests of a stream, such as MD5 and SHA-512, each in a thread of its own.

    A context manager: the threads live from entry to exit. ``feed`` takes the blocks,
    ``hexdigests`` returns the digests. ``size`` is the number of bytes fed so far.
    """

    def __init__(self, *algorithms: str) -> None:
        """Prepare the digests with these names of hashlib. Raises ValueError for unknown names."""
        self.size = 0
        self._computations = {name: _Computation(name) for name in algorithms}

    def __enter__(self) -> Self:
        for computation in self._computations.values():
            computation.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def feed(self, block: bytes) -> None:
        """Pass one block to every thread; wait while a thread is four blocks behind.

        The block must not change afterwards. Raises the error with which a thread has failed.
        """
        self.size += len(block)
        for computation in self._computations.values():
            computation.feed(block)

    def hexdigests(self) -> dict[str, str]:
        """End the computation and return the digests: algorithm -> lower-case hexadecimal."""
        self._end()
        return {
            name: computation.hexdigest()
            for name, computation in self._computations.items()
        }

    def _end(self) -> None:
        for computation in self._computations.values():
            if computation.thread.is_alive():
                computation.blocks.put(None)
        for computation in self._computations.values():
            computation.thread.join()


class _Computation:
    """The computation of one digest: its thread, and a queue of blocks that the thread reads."""

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
                "Feed digests inside their with block, before hexdigests()."
            )
        self.blocks.put(block)

    def hexdigest(self) -> str:
        """Return the digest in hexadecimal. Raises the error with which the thread has failed."""
        if self._error is not None:
            raise self._error
        return self._hash.hexdigest()

    def _run(self) -> None:
        while (block := self.blocks.get()) is not None:
            # After an error the queue is still emptied, or the feeding thread would wait forever.
            if self._error is None:
                self._update(block)

    def _update(self, block: bytes) -> None:
        try:
            self._hash.update(block)
        except BaseException as error:
            self._error = error


def digesting(blocks: Iterable[bytes], digests: Digests) -> Iterator[bytes]:
    """Yield the blocks unchanged, and feed each one to ``digests`` before it is yielded."""
    for block in blocks:
        digests.feed(block)
        yield block
