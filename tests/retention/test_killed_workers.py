"""A run whose worker is killed in the middle, in a process of its own."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from images.access import Caller
from images.models import Event, Image, Job, RetentionRun
from images.retention import runs, undoing
from images.retention.preview import preview
from tests import worker_processes
from tests.servers import wait_until

IMAGES = 20
WORKER = "tests.retention.worker_process"


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_run_of_a_killed_worker_is_repeated_and_undone_by_others(
    policy: Any, aged: Any, run: Any, admin: Caller
) -> None:
    made = policy(actions=[{"delete": "0d"}])
    aged(0)
    for age in range(IMAGES):
        aged(age + 1)
    run()  # sees them for the first time
    started = runs.start(admin, made.name, token=preview(made).token)

    def number(result: str) -> int:
        return started.decisions.filter(result=result).count()

    def kill_in_the_middle(result: str) -> None:
        with worker_processes.running(WORKER) as worker:
            wait_until(lambda: number(result) >= 3, "the first images")
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        assert 3 <= number(result) < IMAGES

    def finish(job: Job | None) -> None:
        assert job is not None
        with worker_processes.running(WORKER):
            wait_until(
                lambda: not Job.objects.open().filter(pk=job.pk).exists(),
                "the end of the job",
            )
        assert Job.objects.get(pk=job.pk).status == "succeeded"

    kill_in_the_middle("done")
    finish(started.job)
    assert number("done") == IMAGES == Image.objects.in_trash().count()
    assert Event.objects.filter(verb="delete").count() == IMAGES

    job = undoing.start(admin, started.pk)
    kill_in_the_middle("undone")
    finish(job)
    assert number("undone") == IMAGES
    assert Image.objects.existing().count() == IMAGES + 1
    assert RetentionRun.objects.get(pk=started.pk).undone_at is not None
