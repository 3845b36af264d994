"""Workers that meet each other, are killed and are stopped, in processes and threads of their own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from images import job_queue
from images.access import Caller
from images.duty import Duty
from images.jobs import kinds, worker
from images.models import Job, JobStatus, WorkerPause
from tests import worker_processes
from tests.job_queue import worker_process
from tests.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

JOBS, WORKERS = 12, 4


def test_of_workers_that_race_for_a_job_one_carries_it_out(
    work: Callable[[Any], None], member: Caller
) -> None:
    runs: list[object] = []
    work(lambda job: runs.append(job.id))
    jobs = [job_queue.request("test", member) for _ in range(JOBS)]

    def race(_: int) -> None:
        try:
            for job in jobs:
                kinds.carry_out(job.pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(race, range(WORKERS)))

    assert sorted(runs, key=str) == sorted((it.pk for it in jobs), key=str)
    assert set(Job.objects.values_list("status", "attempts")) == {("succeeded", 1)}


def test_of_requests_that_race_for_a_key_one_makes_the_job(member: Caller) -> None:
    def request(number: int) -> object:
        try:
            with transaction.atomic():
                return job_queue.request("test", member, key="same").pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as threads:
        made = set(threads.map(request, range(5 * WORKERS)))

    assert made == {Job.objects.get().pk}


def test_a_waiting_job_does_not_begin_before_the_change_that_relies_on_it_is_committed(
    work: Callable[[Any], None], member: Caller
) -> None:
    seen: list[int] = []
    work(lambda job: seen.append(Job.objects.filter(kind="change").count()))
    job = job_queue.request("test", member, key="a")

    def carry_out() -> None:
        try:
            kinds.carry_out(job.pk)
        finally:
            connections.close_all()

    thread = threading.Thread(target=carry_out)
    with transaction.atomic():
        assert job_queue.request("test", member, key="a") == job
        thread.start()
        thread.join(0.3)
        assert seen == []
        job_queue.request("change", member)
    thread.join(30)

    assert seen == [1]


def test_a_paused_worker_begins_no_job(
    work: Callable[[Any], None], member: Caller
) -> None:
    job = job_queue.request("test", member)
    pool = worker.job_pool(1)
    WorkerPause.objects.create(pk=1, reason="a test")

    worker._attempt(Duty("begin jobs", pool.begin))
    pool.stop()

    assert Job.objects.get(pk=job.pk).status == JobStatus.WAITING


@pytest.mark.slow
def test_a_job_of_a_killed_worker_is_taken_up_again_and_a_stopped_one_gives_it_back(
    member: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = tmp_path / "go-on"
    job = job_queue.request("wait", member, arguments={"until": str(until)})

    def is_begun(attempt: int) -> bool:
        row = Job.objects.get(pk=job.pk)
        return (row.attempts, row.status) == (attempt, "running") and (
            row.progress_done > 0
        )

    with worker_processes.running(worker_process.__name__) as first:
        wait_until(lambda: is_begun(1), "the first worker")
        first.send_signal(signal.SIGKILL)
        first.wait()
    with worker_processes.running(worker_process.__name__) as second:
        wait_until(lambda: is_begun(2), "the second worker")
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0
    given_back = Job.objects.get(pk=job.pk)
    assert (given_back.status, given_back.failed_attempts) == ("waiting", 1)
    until.touch()
    monkeypatch.setitem(kinds.KINDS, "wait", worker_process.WAIT)
    assert kinds.carry_out(job.pk)

    assert Job.objects.get(pk=job.pk).result == {"attempt": 3}
