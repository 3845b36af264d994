"""Lists of the runs of a policy and of their decisions, page by page. Read-only.

Each list returns its page and the marker with which the next page begins, None on the last page.
"""

from __future__ import annotations

from images.models import (
    Result,
    RetentionDecision,
    RetentionPolicy,
    RetentionRun,
    positions,
)
from images.retention.rules import ACTIONS


def runs(
    policy: RetentionPolicy, *, marker: int | None = None, limit: int = 100
) -> tuple[list[RetentionRun], str | None]:
    """Return a page of the runs of a policy, newest first, with their jobs. One query.

    ``marker`` is the id of the last run of the previous page.
    """
    matching = policy.runs.select_related("job", "undo_job").order_by("-pk")
    if marker is not None:
        matching = matching.filter(pk__lt=marker)
    return positions.first(matching, limit)


def decisions(
    run: RetentionRun, *, marker: int | None = None, limit: int = 100
) -> tuple[list[RetentionDecision], str | None]:
    """Return a page of the decisions of a run, in the order in which it acts. One query.

    ``marker`` is the id of the last decision of the previous page.
    """
    matching = run.decisions.order_by("pk")
    if marker is not None:
        matching = matching.filter(pk__gt=marker)
    return positions.first(matching, limit)


def number_of_acts(run: RetentionRun) -> int:
    """Return the number of images on which a run decided to act."""
    return sum(run.counts.get(action, 0) for action in ACTIONS)


def result(run: RetentionRun, row: RetentionDecision) -> str:
    """Return the result of a decision, or the status of the run's job if that ended without acting."""
    job = run.job
    if row.result == Result.PLANNED and job is not None and not job.is_open:
        return str(job.status)
    return str(row.result)


def status(run: RetentionRun) -> str:
    """Return the status of a run with its jobs, such as ``running``, ``succeeded`` or ``undone``."""
    if run.undo_job is not None and run.undone_at is None:
        return f"undo {run.undo_job.status}"
    if run.undone_at is not None:
        return "undone"
    if run.refusal:
        return "refused"
    if run.job is not None:
        return str(run.job.status)
    return "succeeded" if run.finished_at else "failed"  # the job was removed long ago
