"""A background worker that acts on few images a second: ``python -m tests.retention.worker_process DATABASE``."""

from __future__ import annotations

import time

import django

django.setup()

from images.job_queue import RunningJob  # noqa: E402
from tests import worker_processes  # noqa: E402

_progress = RunningJob.progress


def slowly(job: RunningJob, done: int, total: int | None = None) -> None:
    _progress(job, done, total)
    time.sleep(0.1)


if __name__ == "__main__":
    RunningJob.progress = slowly  # type: ignore[method-assign]
    worker_processes.serve()
