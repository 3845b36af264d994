"""The check of the jobs that wait for a background worker, and of those that failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from images.console import iso
from images.job_queue import statistics
from images.jobs import kinds
from images.management.doctor.result import Result, ok, warn
from images.units import counted

LONG = timedelta(minutes=15)  # for which no job should wait
RECENT = timedelta(days=1)


def jobs() -> Iterator[Result]:
    """Yield whether jobs wait too long, and whether jobs have failed in the last 24 hours.

    Jobs of a kind that this release does not know always count as waiting too long.
    """
    now = timezone.now()
    found = statistics.open_jobs()
    unknown = sorted(found.waiting.keys() - kinds.KINDS.keys())
    failed = statistics.failed_since(now - RECENT)
    if unknown:
        yield warn(
            "jobs",
            f"jobs of kinds that this release does not know wait: {', '.join(unknown)}",
            "Start a background worker of the newer release, or cancel them with `job_cancel`.",
        )
    elif found.oldest and now - found.oldest > LONG:
        yield warn(
            "jobs",
            f"a job has waited since {iso(found.oldest)}",
            "`job_list --status waiting` shows the jobs. Start another background worker, or "
            "raise its option --jobs.",
        )
    if failed:
        yield warn(
            "jobs",
            f"{counted(failed, 'job')} failed in the last 24 hours",
            "`job_list --status failed` shows why.",
        )
    elif not unknown:
        yield ok("jobs", "none has failed in the last 24 hours")
