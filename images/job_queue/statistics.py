"""Counts of jobs, for metrics and for the examination of an installation."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Min

from images.models import Job, JobStatus


class OpenJobs(NamedTuple):
    """The numbers of waiting and running jobs, by kind; and when the oldest waiting one was requested."""

    waiting: dict[str, int]
    running: dict[str, int]
    oldest: datetime | None  # None: no job waits


def open_jobs() -> OpenJobs:
    """Return the numbers of open jobs. One query."""
    rows = Job.objects.open().values_list("kind", "status").order_by()
    found = list(rows.annotate(Count("pk"), Min("created_at")))
    waiting = [row for row in found if row[1] == JobStatus.WAITING]
    running = [row for row in found if row[1] == JobStatus.RUNNING]
    return OpenJobs(
        {kind: number for kind, _, number, _ in waiting},
        {kind: number for kind, _, number, _ in running},
        min((oldest for _, _, _, oldest in waiting), default=None),
    )


def failed_since(time: datetime) -> int:
    """Return how many jobs have failed since ``time``. One query."""
    recent = Job.objects.filter(finished_at__gte=time)
    return recent.filter(status=JobStatus.FAILED).count()
