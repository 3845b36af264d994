"""Cancel jobs: waiting ones at once, running ones as soon as their worker notices."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from images import access, errors
from images.access import Caller
from images.job_queue import leases
from images.models import Job, JobStatus


def cancel(job_id: UUID, actor: Caller, reason: str = "") -> Job:
    """Cancel a job for ``actor``, and return it.

    A waiting job ends at once; a running one ends when its worker next reports progress, and can
    still succeed before. Raises NotFound if the caller cannot see the job, Forbidden if the caller
    is not allowed to cancel it, and Conflict if it has ended.
    """
    with transaction.atomic():
        job = access.get_job(actor, job_id, "manage_job", lock=True)
        if not job.is_open:
            raise errors.Conflict(
                f"The job has ended already: it is {job.status}. Nothing was cancelled."
            )
        now = timezone.now()
        job.cancel_requested_at = job.cancel_requested_at or now
        job.error_code, job.error = leases.CANCELLED, _sentence(actor, reason)
        if job.status == JobStatus.WAITING:
            job.status, job.finished_at = JobStatus.CANCELLED, now
            ended = partial(leases.announce_end, job, JobStatus.CANCELLED, job.error)
            transaction.on_commit(ended)
        job.save(
            update_fields=[
                "status",
                "cancel_requested_at",
                "finished_at",
                "error_code",
                "error",
            ]
        )
    return job


def _sentence(actor: Caller, reason: str) -> str:
    by = f"Cancelled by {actor.user}" if actor.user else "Cancelled"
    return f"{by}: {reason}" if reason else f"{by}."
