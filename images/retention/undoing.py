"""Undo a run: unhide, reactivate and restore its images, the last one first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images import errors, job_queue, lifecycle
from images.access import Caller
from images.job_queue import JobKind, RunningJob
from images.models import (
    Image,
    Job,
    Result,
    RetentionDecision,
    RetentionPolicy,
    RetentionRun,
)
from images.retention import policies
from images.retention.acting import Skipped, each, reason_for, set_hidden
from images.retention.rules import DEACTIVATE, DELETE, HIDE

UNDO: Final = "retention-undo"  # kind of jobs
UNDOABLE: Final = (Result.DONE, Result.NOT_UNDONE)


def start(caller: Caller, run_id: int, reason: str = "") -> Job:
    """Request the job that undoes a run, and return it.

    The schedule of the policy is disabled, because its next run would do the same again. Raises
    NotFound, Forbidden, and Conflict if the run is not finished, has no action left that can be
    undone, or a newer run that is not undone has acted on the same images.
    """
    policies.get_run(caller, run_id, policies.MANAGE)
    with transaction.atomic():
        run = RetentionRun.objects.select_for_update().get(pk=run_id)
        if _is_open(run):
            raise errors.Conflict(
                f"Run {run.pk} is not finished. Wait for its job, or cancel the job."
            )
        _check_undoable(run)
        policies.disable(run.policy_id)
        job = job_queue.request(
            UNDO,
            caller,
            key=str(run.pk),
            project="",
            reason=reason,
            arguments={"run": run.pk},
        )
        run.undo_job, run.undone_at = job, None
        run.save(update_fields=["undo_job", "undone_at"])
        return job


def can_start(run: RetentionRun) -> bool:
    """Return whether a run is finished and has actions that can be undone. Two queries."""
    return not _is_open(run) and _undoable(run).exists()


def ends_schedule(run_id: int) -> bool:
    """Return whether the undo of a run would end the schedule of its policy. One query."""
    scheduled = RetentionPolicy.objects.filter(next_run_at__isnull=False)
    return bool(scheduled.filter(runs=run_id).exists())


def _is_open(run: RetentionRun) -> bool:
    return RetentionRun.objects.open().filter(pk=run.pk).exists()


def _undoable(run: RetentionRun) -> QuerySet[RetentionDecision]:
    return run.decisions.filter(result__in=UNDOABLE)


def _check_undoable(run: RetentionRun) -> None:
    rows = _undoable(run)
    if not rows.exists():
        raise errors.Conflict(
            f"Run {run.pk} is undone already."
            if run.undone_at
            else f"Run {run.pk} has changed no image that is left."
        )
    newer = RetentionDecision.objects.filter(
        run__gt=run.pk,
        run__undone_at=None,
        result=Result.DONE,
        image__in=rows.values("image"),
    )
    if last := newer.order_by("-run").select_related("run").first():
        raise errors.Conflict(
            f"Run {last.run.pk} of policy {last.run.name} has acted on the same images since. "
            f"Undo run {last.run.pk} first."
        )


def carry_out(job: RunningJob) -> Mapping[str, object]:
    """Carry out the job of an undo: reverse the run's actions on images that are unchanged since.

    Returns the id of the run, and the number of its decisions by result.
    """
    run = RetentionRun.objects.get(pk=job.arguments["run"])
    rows = _undoable(run).order_by("-pk")
    reason = reason_for(job, f"undo of run {run.pk} of {run.name}")
    change = partial(_undo, job, reason)
    counts = each(job, run, rows, change, Result.NOT_UNDONE)
    RetentionRun.objects.filter(pk=run.pk).update(undone_at=timezone.now())
    return {"run": run.pk, **counts}


def _undo(job: RunningJob, reason: str, row: RetentionDecision, actor: Caller) -> None:
    step = partial(_checked, job, row)
    _VERBS[row.decision](row.image_id, actor, reason, step=step)


@contextmanager
def _checked(job: RunningJob, row: RetentionDecision, image: Image) -> Iterator[None]:
    """Check under the image's lock that it is unchanged since the run; then store the result.

    The result is stored after the context. Raises Skipped if the image was changed.
    """
    job.check()
    if image.updated_at != row.changed_at:
        raise Skipped("changed", "Somebody has changed the image since the run.")
    yield
    row.result = Result.UNDONE
    row.blocked_by = row.error = ""
    row.save(update_fields=["result", "blocked_by", "error"])
    # An earlier run acted on the image before this one: it can be undone after this one.
    RetentionDecision.objects.filter(
        image=image.pk, result__in=UNDOABLE, changed_at=row.seen_at
    ).update(changed_at=image.updated_at)


_VERBS: Final[Mapping[str, Callable[..., None]]] = {
    HIDE: partial(set_hidden, False),
    DEACTIVATE: lifecycle.reactivate,
    DELETE: lifecycle.restore,
}

JOB: Final = JobKind(UNDO, carry_out, _("Undo of a retention run"), unit="images")
