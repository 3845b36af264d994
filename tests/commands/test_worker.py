"""The background worker fetches copies, several at once, and does more, all in threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import call_command

from imagecatalog.identity import pruning
from images import errors, lifecycle, logs
from images.access import Caller
from images.attributes import Changes
from images.duty import Duty
from images.jobs import worker
from images.jobs.fair_pool import FairPool
from images.lifecycle import Source, deletion
from images.models import Event, Image, Transfer, WorkerPause
from images.operations import health
from images.stores.local import LocalStore
from tests.copies import waiting_copies
from tests.servers import ROOT, S3, make_database, wait_until
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
def ask(slow: str, make_image: Any, admin: Caller) -> Any:
    """Have an image copied for each of these owners, one after the other."""

    def ask(*owners: str | None) -> None:
        for owner in owners:
            image = make_image(owner=owner)
            lifecycle.request_fetch(image.pk, Source(slow), Changes(), admin)

    return ask


@pytest.fixture
def copying(transactional_db: None) -> Iterator[FairPool]:
    pool = worker.fetch_pool(at_once=2)
    yield pool
    Slow.go_on.set()
    pool.stop()


def statuses() -> list[str]:
    return sorted(Image.objects.values_list("status", flat=True))


def wait_for(*expected: str) -> None:
    deadline = time.monotonic() + 30
    while statuses() != [*expected]:
        assert time.monotonic() < deadline, statuses()
        time.sleep(0.02)


def test_as_many_are_fetched_as_there_are_threads(ask: Any, copying: FairPool) -> None:
    ask("project-a", "project-b", "project-c")

    for _ in range(3):
        copying.begin()
    wait_for("queued", "saving", "saving")
    Slow.go_on.set()
    wait_for("active", "active", "queued")
    while statuses() == ["active", "active", "queued"]:
        copying.begin()
    wait_for("active", "active", "active")


def test_the_log_says_what_is_wrong_with_an_object_store_that_gets_no_data(
    ask: Any,
    copying: FairPool,
    s3: S3,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.IMAGECATALOG_STORES = s3.store().replace(s3.bucket, "no-such-bucket")
    Slow.go_on.set()
    ask("project-a")

    copying.begin()

    def told() -> list[str]:
        return [logs.TextFormatter().format(it) for it in caplog.records]

    wait_until(lambda: any("The bucket does not exist." in it for it in told()), "it")
    assert Event.objects.filter(reason__contains="bucket").count() == 0


@pytest.fixture
def roomy(transactional_db: None) -> Iterator[FairPool]:
    pool = worker.fetch_pool(at_once=4)
    yield pool
    Slow.go_on.set()
    pool.stop()


@pytest.mark.parametrize("hog", ["project-a", None])
def test_one_owner_leaves_half_of_the_places_to_others(
    hog: str | None, ask: Any, roomy: FairPool
) -> None:
    ask(hog, hog, hog)
    roomy.begin()
    wait_for("queued", "saving", "saving")
    roomy.begin()

    ask("project-b")
    roomy.begin()

    wait_for("queued", "saving", "saving", "saving")
    assert Image.objects.get(status="queued").owner == hog


def test_the_owner_with_the_fewest_under_way_comes_next(
    ask: Any, roomy: FairPool
) -> None:
    ask("project-a", "project-a", "project-b", "project-c", "project-d")

    roomy.begin()

    wait_for("queued", "saving", "saving", "saving", "saving")
    assert Image.objects.get(status="queued").owner == "project-a"


def test_a_worker_that_stops_gives_back_what_it_fetches(
    slow: str, make_image: Any, member: Caller, transactional_db: None
) -> None:
    pool = worker.fetch_pool(at_once=2)
    lifecycle.request_fetch(make_image().pk, Source(slow), Changes(), member)
    pool.begin()
    assert Slow.began.wait(30)

    pool._stopping.set()
    Slow.go_on.set()
    pool.stop()

    assert statuses() == ["queued"]
    assert len(waiting_copies()) == 1


def test_rounds_of_duties_are_counted(transactional_db: None, counts: Any) -> None:
    def fail() -> None:
        raise ValueError

    assert worker._attempt(Duty("works", lambda: None))
    assert not worker._attempt(Duty("fails", fail))

    found = counts()
    rounds = "worker_rounds_total"
    assert (found[rounds, "works", "done"], found[rounds, "works", "failed"]) == (1, 0)
    assert (found[rounds, "fails", "done"], found[rounds, "fails", "failed"]) == (0, 1)
    assert found["worker_round_duration_seconds_count", "fails"] == 1
    last = found["worker_last_round_timestamp_seconds", "works"]
    assert last == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize(("lease", "interval"), [(600, 10), (60, 10), (6, 1)])
def test_its_rounds_are_not_rarer_than_heartbeats(
    lease: int, interval: float, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMAGECATALOG_LEASE_SECONDS = lease
    intervals: list[float] = []
    monkeypatch.setattr(worker, "run", lambda each, *_: intervals.append(each))

    call_command("image_worker")
    call_command("image_worker", interval=0.1)

    assert intervals == [interval, 0.1]


def test_a_paused_worker_counts_no_rounds(transactional_db: None, counts: Any) -> None:
    WorkerPause.objects.create(pk=1, reason="a test")

    assert worker._attempt(Duty("waits", lambda: None))

    assert ("worker_rounds_total", "waits", "done") not in counts()


def test_once_an_hour_it_forgets_old_sign_ins(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    periods: list[float | None] = []

    def repeat(duty: Duty, interval: float, stop: threading.Event) -> None:
        if duty.run is pruning.prune:
            periods.append(duty.period)

    monkeypatch.setattr(worker, "_repeat_in_thread", repeat)
    monkeypatch.setattr(signal, "pthread_sigmask", lambda *_: None)
    monkeypatch.setattr(signal, "sigtimedwait", lambda *_: signal.SIGTERM)
    call_command("image_worker")

    assert periods == [3600]


@pytest.fixture
def ending_threads() -> Iterator[None]:
    """The threads that a test starts end before the next one."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(30)


@pytest.fixture
def hanging_store(
    ending_threads: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[threading.Event]:
    """Set while somebody waits for the store to remove an object."""
    waiting, go_on = threading.Event(), threading.Event()

    def hang(self: LocalStore, key: str, *, abandoned: bool = False) -> None:
        waiting.set()
        go_on.wait(60)
        raise errors.StoreError("The store does not answer.")

    monkeypatch.setattr(LocalStore, "delete", hang)
    yield waiting
    go_on.set()


def test_a_store_that_hangs_keeps_nothing_else_waiting(
    hanging_store: threading.Event,
    transactional_db: None,
    make_image: Any,
    member: Caller,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Transfer.objects.create(
        image=make_image("deleted"), kind="upload", status="failed", store="local"
    )
    Transfer.objects.update(heartbeat_at="2000-01-01T00:00:00Z")
    deadline = time.monotonic() + 50
    all_done = ["deleted", "deleted", "queued"]

    def go_on(signals: object, pause: float) -> int | None:
        if not hanging_store.wait(30) or time.monotonic() > deadline:
            return signal.SIGTERM
        if Image.objects.count() == 1:  # only now there is more to do
            Transfer.objects.filter(image=make_image("saving")).update(
                heartbeat_at="2000-01-01T00:00:00Z"
            )
            settings.IMAGECATALOG_SCRUB_TIME = 0
            lifecycle.delete(make_image("active").pk, member)
        time.sleep(0.02)
        return signal.SIGTERM if statuses() == all_done else None

    monkeypatch.setattr(signal, "pthread_sigmask", lambda *_: None)
    monkeypatch.setattr(signal, "sigtimedwait", go_on)
    call_command("image_worker", interval=0.1)

    assert statuses() == all_done


def test_it_reports_while_it_scrubs_a_large_trash(
    ending_threads: None,
    transactional_db: None,
    make_image: Any,
    member: Caller,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.IMAGECATALOG_SCRUB_TIME = 0
    lifecycle.delete(make_image("active").pk, member)
    scrubbing, reported = threading.Event(), threading.Event()
    late: list[object] = []

    def scrub(image: object, *_: object) -> bool:
        scrubbing.set()
        if not reported.wait(30):
            late.append(image)
        return True

    def go_on(signals: object, pause: float) -> int | None:
        return signal.SIGTERM if reported.is_set() else None

    def report() -> None:
        if scrubbing.is_set():
            reported.set()

    monkeypatch.setattr(deletion, "_scrubbed", scrub)
    monkeypatch.setattr(worker, "REPORT", Duty("report", report))
    monkeypatch.setattr(health, "REPORT_SECONDS", 0)
    monkeypatch.setattr(signal, "pthread_sigmask", lambda *_: None)
    monkeypatch.setattr(signal, "sigtimedwait", go_on)
    call_command("image_worker")

    assert not late


# To wake who waits for an event takes a moment, which is made long here.
SLOWLY = """
import sys, threading, time
notify_all = threading.Condition.notify_all
threading.Condition.notify_all = lambda it: (time.sleep(0.4), notify_all(it))
sys.argv = ["manage.py", "image_worker"]
import manage
manage.main()
"""


@pytest.mark.slow
def test_a_second_signal_that_comes_at_once_does_not_block_it(tmp_path: Path) -> None:
    env = os.environ | {"IMAGECATALOG_DATA_DIR": str(tmp_path), "DATABASE_URL": ""}
    make_database(tmp_path)
    worker = subprocess.Popen([sys.executable, "-c", SLOWLY], env=env, cwd=ROOT)
    try:
        wait_until(lambda: psutil.Process(worker.pid).num_threads() >= 3, "its threads")
        worker.send_signal(signal.SIGINT)
        time.sleep(0.2)
        worker.send_signal(signal.SIGTERM)
        worker.wait(timeout=30)
    finally:
        worker.kill()
        worker.wait()
