"""Writing of one stream by several writers at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest

from images.errors import StoreError
from images.stores import tee
from images.stores.handover import DEPTH, Aborted

BLOCKS = [b"first", b"second", b"third", b"fourth"]


class Writer:
    """Keeps the blocks it is given; fails after ``most`` of them."""

    def __init__(self, most: int | None = None) -> None:
        self.kept: list[bytes] = []
        self.most, self.aborted = most, False

    def __call__(self, blocks: Iterable[bytes]) -> None:
        try:
            for block in blocks:
                if self.most is not None and len(self.kept) >= self.most:
                    raise StoreError("The store failed.")
                self.kept.append(block)
        except Aborted:
            self.aborted = True
            raise


def test_all_writers_get_all_blocks() -> None:
    writers = [Writer(), Writer(), Writer()]

    assert tee.write(writers, BLOCKS, all_must_succeed=True) == [None] * 3

    assert [writer.kept for writer in writers] == [BLOCKS] * 3


def test_a_writer_that_fails_does_not_stop_the_others() -> None:
    writers = [Writer(), Writer(most=1)]

    good, failed = tee.write(writers, BLOCKS, all_must_succeed=False)

    assert good is None
    assert isinstance(failed, StoreError)
    assert writers[0].kept == BLOCKS


def test_a_writer_that_must_succeed_stops_the_others() -> None:
    writers = [Writer(), Writer(most=0)]
    source = iter(BLOCKS * 100)

    errors = tee.write(writers, source, all_must_succeed=True)

    assert writers[0].aborted
    assert isinstance(tee.reason(errors), StoreError)
    assert next(source)  # the rest is not read


def test_nothing_is_read_for_writers_that_have_all_failed() -> None:
    source = iter(BLOCKS * 100)

    errors = tee.write([Writer(0), Writer(0)], source, all_must_succeed=False)

    assert all(isinstance(error, StoreError) for error in errors)
    assert next(source)


def test_an_error_of_the_source_aborts_all_writers() -> None:
    def source() -> Iterator[bytes]:
        yield from BLOCKS
        raise OSError("The client is gone.")

    writers = [Writer(), Writer()]

    with pytest.raises(OSError, match="gone"):
        tee.write(writers, source(), all_must_succeed=False)

    assert all(writer.aborted for writer in writers)


@pytest.mark.parametrize("all_must_succeed", [True, False])
def test_the_error_of_a_single_writer_is_raised(all_must_succeed: bool) -> None:
    with pytest.raises(StoreError):
        tee.write([Writer(most=0)], BLOCKS, all_must_succeed=all_must_succeed)


def test_no_writer_is_far_behind_the_others() -> None:
    read: list[int] = []
    overrun = threading.Event()
    most = DEPTH + 2  # what waits, and one in each hand

    def source() -> Iterator[bytes]:
        for number in range(20):
            read.append(number)
            if number >= most:
                overrun.set()
            yield b"x"

    def slow(blocks: Iterable[bytes]) -> None:
        next(iter(blocks))
        assert not overrun.wait(0.05)
        for _ in blocks:
            pass

    assert tee.write([Writer(), slow], source(), all_must_succeed=True) == [None, None]
    assert len(read) == 20


def test_objects_are_completed_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=60)

    def writer(blocks: Iterable[bytes]) -> None:
        for _ in blocks:
            pass
        both.wait()  # breaks unless the other one is completing, too

    assert tee.write([writer, writer], BLOCKS, all_must_succeed=True) == [None, None]
