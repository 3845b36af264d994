"""Requests for jobs, in the transaction of the change that causes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db import transaction

from images.access import Caller
from images.models import Job, JobStatus

# A worker can begin the job that waits between two statements, but hardly so often.
ATTEMPTS: Final = 10


def request(
    kind: str,
    actor: Caller,
    *,
    key: str = "",
    project: str | None = None,
    reason: str = "",
    arguments: Mapping[str, object] | None = None,
) -> Job:
    """Request a job for ``actor``, and return it: a worker begins it after this transaction.

    If a job of the same ``kind`` and ``key`` waits already, that one is returned unchanged, and
    begins after this transaction; the empty key never matches. Everything that the job does must
    therefore follow from its kind and key. While another job of the same kind and key runs, the
    new one waits. ``project`` is the id of the project that can see the job; by default it is that
    of ``actor``. ``arguments`` can be stored as JSON, and have no secrets.
    """
    job = Job(
        kind=kind,
        key=key,
        actor=actor.user,
        project=(actor.project if project is None else project) or "",
        interface=actor.interface,
        request_id=actor.request_id,
        reason=reason,
        arguments=dict(arguments or {}),
    )
    if not key:
        job.save(force_insert=True)
        return job
    same = Job.objects.filter(kind=kind, key=key, status=JobStatus.WAITING)
    with transaction.atomic():
        for _attempt in range(ATTEMPTS):
            Job.objects.bulk_create([job], ignore_conflicts=True)
            # Locked: a worker that began it before this transaction ends would not see the change.
            if waiting := same.select_for_update().first():
                return waiting
        job.save(force_insert=True)
    return job
