from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import pytest

from images import request_rate
from images.errors import TooManyRequests
from tests.servers import ROOT

Count = Callable[[], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time in nanoseconds, which a test changes."""
    now = [10**6 * request_rate.SECOND]
    monkeypatch.setattr(request_rate.time, "monotonic_ns", lambda: now[0])
    return now


@pytest.fixture
def count(clock: list[int]) -> Count:
    """Count a request of one client, who may send 60 in a minute and 3 at once."""
    key = str(uuid4())
    return lambda: request_rate.count(key, 60, 3, "Too many.")


def test_so_many_come_at_once_and_no_more(count: Count) -> None:
    for _ in range(3):
        count()

    with pytest.raises(
        TooManyRequests, match=r"Too many\. Try again in 1 s\."
    ) as refused:
        count()
    assert refused.value.seconds == 1


@pytest.mark.parametrize("per_minute", [1, 7, 60])
def test_whatever_the_time_is_so_many_may_come(
    per_minute: int, clock: list[int]
) -> None:
    for step in range(1_000):
        clock[0] += step * 1_234_567
        key = str(uuid4())
        for _ in range(per_minute):
            request_rate.count(key, per_minute, per_minute, "Too many.")


def test_the_time_to_wait_is_the_least_that_is_enough(
    count: Count, clock: list[int]
) -> None:
    for _ in range(3):
        count()

    clock[0] += request_rate.SECOND
    count()
    with pytest.raises(TooManyRequests):
        count()


def test_refused_requests_do_not_count(count: Count, clock: list[int]) -> None:
    for _ in range(10):
        with suppress(TooManyRequests):
            count()

    clock[0] += 3 * request_rate.SECOND
    for _ in range(3):
        count()


def test_each_client_is_counted_by_itself(count: Count) -> None:
    for _ in range(3):
        count()

    request_rate.count(str(uuid4()), 60, 3, "Too many.")


def test_no_rate_is_no_limit() -> None:
    for _ in range(100):
        request_rate.count("everybody", 0, 0, "Too many.")


def test_a_key_takes_the_slot_that_is_free_first(
    monkeypatch: pytest.MonkeyPatch, clock: list[int]
) -> None:
    monkeypatch.setattr(request_rate, "SLOTS", 1)
    first, second = str(uuid4()), str(uuid4())

    for key in (first, second, first):
        request_rate.count(key, 60, 1, "Too many.")


# Counts three requests, each in a process of its own, and then a fourth one.
FORKING = """
import os
from images import request_rate

def count():
    request_rate.count("key", 60, 3, "Too many.")

for _ in range(3):
    if not (child := os.fork()):
        count()
        os._exit(0)
    os.waitpid(child, 0)
count()
"""


def test_processes_count_together() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING], cwd=ROOT, capture_output=True, text=True
    )

    assert "TooManyRequests: Too many." in done.stderr
