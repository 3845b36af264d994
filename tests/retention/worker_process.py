"""A background worker that acts on few images a second: ``python -m tests.retention.worker_process DATABASE``."""

from __future__ import annotations

import sys
import time

import django

django.setup()

from django.db import connection  # noqa: E402

from images.job_queue import RunningJob  # noqa: E402
from images.jobs import worker  # noqa: E402

_progress = RunningJob.progress


def slowly(job: RunningJob, done: int, total: int | None = None) -> None:
    _progress(job, done, total)
    time.sleep(0.1)


def main() -> None:
    connection.settings_dict["NAME"] = sys.argv[1]
    RunningJob.progress = slowly  # type: ignore[method-assign]
    worker.run(interval=0.2, downloads=1, jobs=2)


if __name__ == "__main__":
    main()
