"""The semaphore that threads get in the order in which they ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagecatalog.postgresql.fair_semaphore import FairSemaphore
from tests.servers import wait_until


@pytest.fixture
def taken() -> FairSemaphore:
    """A semaphore for one thread, which has it."""
    semaphore = FairSemaphore(1)
    assert semaphore.acquire(timeout=0)
    return semaphore


def test_a_thread_that_releases_it_gets_it_after_those_that_wait(
    taken: FairSemaphore,
) -> None:
    order: list[str] = []

    def work(name: str) -> None:
        assert taken.acquire(timeout=60)
        order.append(name)
        taken.release()

    with ThreadPoolExecutor(2) as pool:
        for count, name in enumerate(("first", "second"), start=1):
            pool.submit(work, name)
            wait_until(lambda: taken.waiting == count, name)  # noqa: B023
        assert taken.free == 0
        taken.release()
        work("who had it")

    assert order == ["first", "second", "who had it"]
    assert (taken.free, taken.waiting) == (1, 0)


def test_a_thread_waits_no_longer_than_it_says(taken: FairSemaphore) -> None:
    assert not taken.acquire(timeout=0.01)


def test_a_thread_that_has_given_up_is_passed_over(taken: FairSemaphore) -> None:
    taken.acquire(timeout=0.01)
    taken.release()

    assert taken.acquire(timeout=0)


def test_none_is_lost_when_waits_end_while_it_is_released() -> None:
    semaphore, stop = FairSemaphore(2), threading.Event()

    def work() -> None:
        while not stop.is_set():
            if semaphore.acquire(timeout=0.0001):
                semaphore.release()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(work)
        stop.wait(0.2)
        stop.set()

    assert semaphore.acquire(timeout=0)
    assert semaphore.acquire(timeout=0)
    assert not semaphore.acquire(timeout=0)
