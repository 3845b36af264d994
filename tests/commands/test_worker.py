"""The background worker fetches copies, several at once, and does more, all in threads."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command

from imagecatalog.identity import pruning
from images import lifecycle
from images.access import Caller
from images.attributes import Changes
from images.lifecycle import Source
from images.management.commands import image_worker
from images.management.copying import Copying
from images.models import Image
from tests.web import Slow, allow_in_process, serving


@pytest.fixture
def slow(settings: Any) -> Iterator[str]:
    Slow.began.clear()
    Slow.go_on.clear()
    with serving(Slow) as url:
        allow_in_process(settings, url)
        yield url
        Slow.go_on.set()


@pytest.fixture
def copying(transactional_db: None) -> Iterator[Copying]:
    worker = Copying(at_once=2)
    yield worker
    Slow.go_on.set()
    worker.stop()


def statuses() -> list[str]:
    return sorted(Image.objects.values_list("status", flat=True))


def wait_for(*expected: str) -> None:
    deadline = time.monotonic() + 30
    while statuses() != [*expected]:
        assert time.monotonic() < deadline, statuses()
        time.sleep(0.02)


def test_as_many_are_fetched_as_there_are_threads(
    slow: str, copying: Copying, make_image: Any, member: Caller
) -> None:
    for _ in range(3):
        lifecycle.copy(make_image().pk, Source(slow), Changes(), member)

    for _ in range(3):
        copying.begin()
    wait_for("queued", "saving", "saving")
    Slow.go_on.set()
    wait_for("active", "active", "queued")
    while statuses() == ["active", "active", "queued"]:
        copying.begin()
    wait_for("active", "active", "active")


def test_a_worker_that_stops_gives_back_what_it_fetches(
    slow: str, make_image: Any, member: Caller, transactional_db: None
) -> None:
    worker = Copying(at_once=2)
    lifecycle.copy(make_image().pk, Source(slow), Changes(), member)
    worker.begin()
    assert Slow.began.wait(30)

    worker._stopping.set()
    Slow.go_on.set()
    worker.stop()

    assert statuses() == ["queued"]
    assert len(lifecycle.waiting_copies(10)) == 1


def test_once_an_hour_it_forgets_old_sign_ins(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def beside(stop: threading.Event, duty: object, pause: float) -> None:
        if duty is pruning.prune:
            pauses.append(pause)
            stop.set()

    monkeypatch.setattr(image_worker, "_beside", beside)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    call_command("image_worker")

    assert pauses == [3600]
