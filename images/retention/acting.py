"""Act on the images of a run, one by one, by the operations of the life cycle.

A run acts only on the images whose decisions it has stored, and on each only if the decision still
holds. The result is stored in the transaction in which the image changes. So an interrupted job can
begin again: it skips the images that have a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images import errors, lifecycle
from images.access import Caller
from images.attributes import Changes
from images.job_queue import JobKind, RunningJob
from images.lifecycle import Step
from images.models import (
    Image,
    Result,
    RetentionClock,
    RetentionDecision,
    RetentionPolicy,
    RetentionRun,
)
from images.retention import clocks, runs
from images.retention.preview import decision_on
from images.retention.rules import DEACTIVATE, DELETE, HIDE

Change = Callable[[RetentionDecision, Caller], None]


class Skipped(errors.Conflict):
    """The error for an image that a run leaves alone; ``blocked_by`` names what keeps it."""

    def __init__(self, blocked_by: str, message: str) -> None:
        super().__init__(message)
        self.blocked_by = blocked_by


def each(
    job: RunningJob,
    run: RetentionRun,
    rows: QuerySet[RetentionDecision],
    change: Change,
    refused: Result,
) -> dict[str, int]:
    """Call ``change`` for each decision in ``rows``; return the run's decision counts by result.

    ``change`` gets the decision and an actor, whose events name the policy and the run. If it
    raises an ImageError, the decision gets the result ``refused`` and the error, and the job
    continues.
    """
    detail = {"policy": run.name, "run": str(run.pk)}
    actor = replace(job.actor, detail=detail)
    found = list(rows)
    for done, row in enumerate(found):
        job.progress(done, len(found))
        try:
            change(row, actor)
        except (errors.LeaseExpired, errors.ServerStopping):
            raise
        except errors.ImageError as error:
            blocked_by = error.blocked_by if isinstance(error, Skipped) else error.code
            RetentionDecision.objects.filter(pk=row.pk).update(
                result=refused, blocked_by=blocked_by[:16], error=error.for_operator()
            )
    job.progress(len(found), len(found))
    return results(run)


def results(run: RetentionRun) -> dict[str, int]:
    """Return the number of decisions of a run by result. One query."""
    counts = run.decisions.values_list("result").annotate(Count("pk")).order_by()
    return {str(result): number for result, number in counts}


def carry_out(job: RunningJob) -> Mapping[str, object]:
    """Carry out the job of a run: act on its images that have no result yet."""
    run = RetentionRun.objects.get(pk=job.arguments["run"])
    policy = RetentionPolicy(pk=run.policy_id, name=run.name, **run.snapshot)
    if run.policy_id is not None:
        clocks.update(policy, job)
    planned = run.decisions.filter(result=Result.PLANNED).order_by("pk")
    counts = each(job, run, planned, partial(_act, policy, job), Result.SKIPPED)
    RetentionRun.objects.filter(pk=run.pk).update(finished_at=timezone.now())
    return {"run": run.pk, **counts}


def reason_for(job: RunningJob, cause: str) -> str:
    """Return the reason of an event: ``cause``, after the reason that the job's request gave, if any."""
    return f"{job.reason} ({cause})" if job.reason else cause


def _act(
    policy: RetentionPolicy, job: RunningJob, row: RetentionDecision, actor: Caller
) -> None:
    step = partial(_checked, policy, job, row)
    reason = reason_for(job, f"{row.decision}: {row.because}")
    _VERBS[row.decision](row.image_id, actor, reason, step=step)


@contextmanager
def _checked(
    policy: RetentionPolicy, job: RunningJob, row: RetentionDecision, image: Image
) -> Iterator[None]:
    """Check under the image's lock that a decision still holds; store its result after the context.

    Raises Skipped if the image was changed since the run began, or the policy would now decide
    otherwise, for example because newer images of the group were deleted.
    """
    job.check()
    if image.updated_at != row.seen_at:
        raise Skipped("changed", "Somebody has changed the image since the run began.")
    now = decision_on(policy, image)
    if now is None or now.decision != row.decision:
        sentence = (
            "the policy does not look at it any more" if now is None else now.sentence
        )
        blocked_by = (now and now.blocked_by) or "decision"
        raise Skipped(blocked_by, f"The decision is another one by now: {sentence}.")
    yield
    row.result, row.changed_at = Result.DONE, image.updated_at
    row.blocked_by = row.error = ""
    row.save(update_fields=["result", "changed_at", "blocked_by", "error"])
    RetentionClock.objects.filter(policy=policy.pk, image=image.pk).update(
        action=row.decision, acted_at=image.updated_at
    )


def set_hidden(
    hidden: bool, image_id: str, actor: Caller, reason: str, *, step: Step
) -> None:
    """Hide an image, or show it. Raises the errors of ``lifecycle.update``."""
    changes = Changes({"os_hidden": hidden})
    lifecycle.update(image_id, changes, actor, reason=reason, step=step)


_VERBS: Final[Mapping[str, Callable[..., None]]] = {
    HIDE: partial(set_hidden, True),
    DEACTIVATE: lifecycle.deactivate,
    DELETE: partial(lifecycle.delete, trash_only=True),
}

JOB: Final = JobKind(runs.RUN, carry_out, _("Retention"), unit="images")
