"""A background worker with a kind of jobs of its own: ``python -m tests.job_queue.worker_process DATABASE``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import django

django.setup()

from django.db import connection  # noqa: E402

from images.job_queue import JobKind, RunningJob  # noqa: E402
from images.jobs import kinds, worker  # noqa: E402


def wait(job: RunningJob) -> dict[str, object]:
    """Count steps until the file exists whose path is the argument ``until``."""
    steps = 0
    while not Path(job.arguments["until"]).exists():
        steps += 1
        job.progress(steps)
        time.sleep(0.02)
    return {"attempt": job.attempt}


WAIT = JobKind("wait", wait, "Wait", unit="steps")


def main() -> None:
    connection.settings_dict["NAME"] = sys.argv[1]
    kinds.KINDS[WAIT.name] = WAIT
    worker.run(interval=0.2, downloads=1, jobs=2)


if __name__ == "__main__":
    main()
