"""A background worker with a kind of jobs of its own: ``python -m tests.job_queue.worker_process DATABASE``."""

from __future__ import annotations

import time
from pathlib import Path

import django

django.setup()

from images.job_queue import JobKind, RunningJob  # noqa: E402
from images.jobs import kinds  # noqa: E402
from tests import worker_processes  # noqa: E402


def wait(job: RunningJob) -> dict[str, object]:
    """Count steps until the file exists whose path is the argument ``until``."""
    steps = 0
    while not Path(job.arguments["until"]).exists():
        steps += 1
        job.progress(steps)
        time.sleep(0.02)
    return {"attempt": job.attempt}


WAIT = JobKind("wait", wait, "Wait", unit="steps")


if __name__ == "__main__":
    kinds.KINDS[WAIT.name] = WAIT
    worker_processes.serve()
