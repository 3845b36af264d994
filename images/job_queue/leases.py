"""Claim jobs, end them or let them wait again, and free the jobs of dead workers.

Each attempt to carry out a job has a number. A worker changes a job only while the job still has
the number of the worker's own attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from images import errors, process_metrics
from images.duty import Duty
from images.logs import word
from images.models import Job, JobStatus
from images.transfers import backoff
from images.transfers.heartbeat import is_silent
from images.transfers.workers import this_worker

log = logging.getLogger(__name__)

# Failed attempts without progress, after which a job is not tried again.
MOST_FAILURES: Final = 5
FIRST_DELAY: Final = timedelta(seconds=15)  # after a temporary failure, as of a store

CANCELLED: Final = "cancelled"  # error codes
MERGED: Final = "merged"
INTERNAL: Final = "internal-error"


def claim(job: Job, unit: str) -> bool:
    """Mark a waiting job as running in this process; return whether it was still waiting.

    ``unit`` is the unit of its progress. Another job of the same kind and key must not be running,
    else the result is False.
    """
    now = timezone.now()
    waiting = Job.objects.filter(
        pk=job.pk, status=JobStatus.WAITING, attempts=job.attempts
    )
    claimed = {
        "status": JobStatus.RUNNING,
        "worker": this_worker(),
        "attempts": job.attempts + 1,
        "started_at": now,
        "heartbeat_at": now,
        "progress_done": 0,
        "progress_total": None,
        "progress_unit": unit,
        "error_code": "",
        "error": "",
    }
    if not _update(waiting, claimed):
        return False
    for name, value in claimed.items():
        setattr(job, name, value)
    return True


def held(job: Job) -> QuerySet[Job]:
    """Return the query for the row of a job, if it is still running in the attempt of ``job``."""
    return Job.objects.filter(
        pk=job.pk, status=JobStatus.RUNNING, attempts=job.attempts
    )


def end(
    job: Job,
    status: JobStatus,
    code: str = "",
    message: str = "",
    result: Mapping[str, object] | None = None,
) -> bool:
    """End a running job with this status; return False if this attempt no longer has the job.

    ``code`` and ``message`` describe the error, if any. A cancelled job without them keeps those of
    the request to cancel it.
    """
    columns: dict[str, object] = {
        "status": status,
        "finished_at": timezone.now(),
        "progress_done": job.progress_done,
        "progress_total": job.progress_total,
        "result": None if result is None else dict(result),
    }
    if code or status != JobStatus.CANCELLED:
        columns |= {"error_code": code, "error": message}
    ended = _update(held(job), columns)
    if ended:
        announce_end(job, status, message)
    return ended


def announce_end(job: Job, status: JobStatus, message: str) -> None:
    """Log that a job has ended with a status, and count it for the metrics."""
    process_metrics.count("jobs_total", job.kind, status.value)
    level = logging.WARNING if status == JobStatus.FAILED else logging.INFO
    reason = f" reason={word(message)}" if message else ""
    log.log(level, "%s", f"job={job.pk} kind={job.kind} to={status}{reason}")


def give_back(job: Job, error: errors.ImageError, *, failed: bool) -> bool:
    """Let a running job wait again, after the attempt of ``job`` was ended by ``error``.

    ``failed`` says that the attempt counts as a failure; after MOST_FAILURES of them, none of which
    came further than those before it, the job ends as failed. If somebody has asked to cancel the
    job, it ends as cancelled. If another job of the same kind and key waits already, that one does
    the work, and this one ends as cancelled. Returns False if this attempt no longer has the job.
    """
    if held(job).filter(cancel_requested_at__isnull=False).exists():
        return end(job, JobStatus.CANCELLED)
    furthest, failures = job.progress_furthest, job.failed_attempts + failed
    if failed and job.progress_done > furthest:
        furthest, failures = job.progress_done, 1
    if failures >= MOST_FAILURES:
        message = f"{error} The job was tried {failures} times without progress."
        return end(job, JobStatus.FAILED, error.code, message)
    is_delayed = failed and not isinstance(error, errors.LeaseExpired)
    delay = backoff.delay(FIRST_DELAY, failures - 1) if is_delayed else timedelta()
    waiting = {
        "status": JobStatus.WAITING,
        "not_before": timezone.now() + delay,
        "failed_attempts": failures,
        "progress_furthest": furthest,
        "worker": "",
        "error_code": error.code,
        "error": str(error),
    }
    if _update(held(job), waiting):
        return True
    later = "A job that was requested later does the same."
    return end(job, JobStatus.CANCELLED, MERGED, later)


def take_up_dead() -> int:
    """Let the jobs of dead workers wait again, or end them; return their number.

    A worker counts as dead if it has sent no heartbeat for IMAGECATALOG_LEASE_SECONDS, or if it was
    a process of this machine that has ended.
    """
    running = Job.objects.filter(status=JobStatus.RUNNING)
    return sum(_take_up(job) for job in running if is_silent(job))


def _take_up(job: Job) -> bool:
    died = errors.LeaseExpired("The worker died, or sent no heartbeat for too long.")
    with transaction.atomic():
        # A job with a heartbeat that has arrived since it was read is left alone.
        found = held(job).select_for_update().first()
        return bool(found and is_silent(found)) and give_back(job, died, failed=True)


def _update(jobs: QuerySet[Job], columns: Mapping[str, object]) -> bool:
    try:
        with transaction.atomic():
            return bool(jobs.update(**columns))
    except IntegrityError:
        return False


DUTIES = (Duty("take up dead jobs", take_up_dead),)
