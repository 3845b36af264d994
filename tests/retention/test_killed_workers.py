"""A run whose worker is killed in the middle, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from images.access import Caller
from images.models import Event, Image, Job, RetentionRun
from images.retention import runs, undoing
from images.retention.preview import preview
from tests.servers import ROOT, wait_until

IMAGES = 20


@contextmanager
def running_worker() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.retention.worker_process"]
    name = str(connection.settings_dict["NAME"])
    env = {
        **os.environ,
        "IMAGECATALOG_DATA_DIR": str(settings.IMAGECATALOG_DATA_DIR),
        "IMAGECATALOG_STORES": settings.IMAGECATALOG_STORES,
    }
    process = subprocess.Popen([*command, name], cwd=ROOT, env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


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
        with running_worker() as worker:
            wait_until(lambda: number(result) >= 3, "the first images")
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        assert 3 <= number(result) < IMAGES

    def finish(job: Job | None) -> None:
        assert job is not None
        with running_worker():
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
