"""Permissions for jobs: the jobs that a caller finds, and the actions that it is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from images import errors
from images.access.caller import Caller
from images.access.rules import Target, check, rule_allows, shown
from images.models import Job

SHOW = "get_job"


def seen_jobs(caller: Caller) -> QuerySet[Job]:
    """Return the jobs that a caller can see: those of its project; all of them for an admin.

    Rules are not checked, so the policy file has no effect here.
    """
    jobs = Job.objects.all()
    if caller.is_admin:
        return jobs
    if "reader" not in caller.roles or not caller.project:
        return jobs.none()
    return jobs.filter(project=caller.project)


def shown_jobs(caller: Caller, page: Sequence[Job]) -> list[Job]:
    """Return the jobs of ``page`` that the policy file does not hide from the caller."""
    return shown(caller, page, SHOW, job_target)


def get_job(
    caller: Caller, job_id: UUID, action: str = SHOW, *, lock: bool = False
) -> Job:
    """Return a job on which the caller is allowed ``action``. One query.

    With ``lock`` the row is locked until the end of the transaction. Raises NotFound if the caller
    cannot see the job, Forbidden if the action is not allowed.
    """
    seen = seen_jobs(caller).filter(pk=job_id)
    job = (seen.select_for_update() if lock else seen).first()
    if job is None or not rule_allows(caller, SHOW, job_target(job)):
        raise missing_job(job_id)
    check(caller, action, job_target(job))
    return job


def job_target(job: Job) -> Target:
    """Return the values of a job against which rules are checked."""
    return {"owner": job.project or None, "visibility": "private", "name": job.kind}


def missing_job(job_id: object) -> errors.NotFound:
    """Return the error for a job that does not exist or that the caller cannot see."""
    return errors.NotFound(f"There is no job {job_id}.")
