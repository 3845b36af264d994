"""Runs that the schedules of policies start, and the removal of old runs."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from images import outages, process_metrics
from images.access import operator
from images.duty import Duty
from images.models import RetentionPolicy, RetentionRun
from images.retention import runs, schedule
from images.retention.preview import Preview, preview

log = logging.getLogger(__name__)

KEPT: Final = timedelta(days=365)  # how long runs are kept
RETRIED: Final = timedelta(hours=1)  # the delay after an error
# What becomes of a time of a schedule.
STARTED: Final = "started"
REFUSED: Final = "refused"
SKIPPED: Final = "skipped"
FAILED: Final = "failed"


def start_due() -> None:
    """Start the runs of the policies whose scheduled time has come, each in only one worker.

    If several scheduled times have passed without a worker, one run is started. A run that exceeds
    the policy's ``max_share`` is stored with the reason, and changes nothing. A policy that cannot
    be run, for example because a newer release has stored values unknown to this one, is tried
    again in an hour, and does not prevent the runs of other policies.
    """
    for result in (STARTED, REFUSED, SKIPPED, FAILED):  # shown before the first run
        _count(result, by=0)
    due = RetentionPolicy.objects.filter(enabled=True, next_run_at__lte=timezone.now())
    for policy in due.order_by("next_run_at"):
        try:
            _start_in_time(policy)
        except Exception as error:
            if outages.is_outage(error):
                raise
            log.exception(
                "retention policy %s cannot be run; it is tried again in an hour",
                policy.name,
            )
            # Not at the next time of the schedule, which perhaps cannot be read either.
            if _unclaimed(policy).update(next_run_at=timezone.now() + RETRIED):
                _count(FAILED)


def _count(result: str, by: int = 1) -> None:
    process_metrics.count("retention_scheduled_runs_total", result, by=by)


def _start_in_time(policy: RetentionPolicy) -> None:
    found = preview(policy)
    with transaction.atomic():
        if not _claim(policy):
            return
        result = _start(policy, found)
    _count(result)


def _claim(policy: RetentionPolicy) -> bool:
    """Set the next time of a policy's schedule, so that only this worker starts the present run.

    Returns False if another worker has set it already, or the policy has changed.
    """
    following = schedule.next_time(policy.schedule, timezone.now())
    return bool(_unclaimed(policy).update(next_run_at=following))


def _unclaimed(policy: RetentionPolicy) -> QuerySet[RetentionPolicy]:
    return RetentionPolicy.objects.filter(
        pk=policy.pk, version=policy.version, next_run_at=policy.next_run_at
    )


def _start(policy: RetentionPolicy, found: Preview) -> str:
    """Start a run and return STARTED; return SKIPPED or REFUSED if it is not started.

    SKIPPED means that a run of the policy is not finished, REFUSED that it exceeds ``max_share``.
    """
    caller = operator("worker")
    if RetentionRun.objects.open().filter(policy=policy).exists():
        log.warning(
            "retention policy %s is not run: its last run is not finished", policy.name
        )
        return SKIPPED
    if found.exceeds(policy):
        run = runs.new(policy, found, caller, "schedule")
        run.refusal, run.finished_at = runs.too_many(policy, found), timezone.now()
        run.save(force_insert=True)
        log.warning("%s", run.refusal)
        return REFUSED
    runs.store(policy, found, caller, "schedule")
    return STARTED


def remove_old() -> int:
    """Remove the runs that began more than a year ago; return their number."""
    old = RetentionRun.objects.filter(started_at__lt=timezone.now() - KEPT)
    return old.delete()[0]


DUTIES = (
    Duty("start retention runs", start_due, may_block=True),
    Duty("remove old retention runs", remove_old, period=3600.0, may_block=True),
)
