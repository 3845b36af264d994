"""Lists of jobs, newest first, page by page. Read-only."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import Q

from images import access, errors
from images.access import Caller
from images.models import Job, JobStatus, positions

# Columns that lists do not read: a page of them could have hundreds of mebibytes.
LONG: Final = ("arguments", "result")


def jobs(
    caller: Caller,
    *,
    kind: str | None = None,
    status: str | None = None,
    marker: UUID | None = None,
    limit: int = 100,
) -> tuple[list[Job], str | None]:
    """Return a page of the jobs that a caller sees, and the marker with which the next page begins.

    The marker is None on the last page. The jobs come without arguments and results. ``marker`` is
    the id of the last job of the previous page. One query, two with a marker, more if the policy
    file hides all jobs of a page. Raises Invalid for an unknown status, and NotFound for a marker
    that is no job that the caller sees.
    """
    if status is not None and status not in JobStatus.values:
        raise errors.Invalid(
            f"The status must be one of: {', '.join(JobStatus.values)}."
        )
    if not access.key_allows(caller, "get_job"):
        return [], None
    given = {"kind": kind, "status": status}
    matching = access.seen_jobs(caller).defer(*LONG)
    matching = matching.filter(**{it: value for it, value in given.items() if value})
    if marker is not None:
        matching = matching.filter(_after(access.get_job(caller, marker)))
    return positions.page(
        matching.order_by("-created_at", "-pk"),
        limit,
        lambda page: access.shown_jobs(caller, page),
        _after,
    )


def _after(job: Job) -> Q:
    return positions.after("created_at", True, job.created_at, "pk", job.pk)
