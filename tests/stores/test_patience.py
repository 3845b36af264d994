"""Threads that wait for a file system."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from images import errors
from images.stores import patience
from images.stores.patience import MOST, Patience

Hung = tuple[Patience, threading.Event, list[Future[None]]]


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hung]:
    """A file system in which as many threads wait as may."""
    monkeypatch.setattr(patience, "HANGS_AFTER", 0.0)
    store, answer = Patience(), threading.Event()
    inside = threading.Barrier(MOST + 1)

    def read() -> None:
        with store.reading():
            inside.wait(timeout=60)
            answer.wait()

    with ThreadPoolExecutor(MOST) as pool:
        reads = [pool.submit(read) for _ in range(MOST)]
        inside.wait(timeout=60)
        yield store, answer, reads
        answer.set()


def test_a_file_system_that_hangs_gets_no_more_threads(hung: Hung) -> None:
    store, _, _ = hung

    with pytest.raises(errors.StoreError, match="does not answer"), store.reading():
        pass


def test_a_file_system_that_answers_again_is_used_again(hung: Hung) -> None:
    store, answer, reads = hung
    answer.set()
    for read in reads:
        read.result(timeout=60)

    with store.reading():
        pass


def test_a_file_system_that_is_only_slow_refuses_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "MOST", 1)
    monkeypatch.setattr(patience, "HANGS_AFTER", 3.0)
    store = Patience()

    def read() -> None:
        with store.reading():
            time.sleep(0.15)

    with ThreadPoolExecutor(25) as pool:
        reads = [pool.submit(read) for _ in range(25)]

    assert [read.exception() for read in reads] == [None] * 25
