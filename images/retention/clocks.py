"""Clocks: for each image that a policy does not keep, the time since which it does not keep it.

Only runs of the policy start and stop clocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.utils import timezone

from images.batches import batches
from images.job_queue import RunningJob
from images.models import RetentionClock, RetentionPolicy
from images.retention import facts
from images.retention.decisions import BLOCKED, KEEP, Decision, clock
from images.retention.preview import all_decisions

BATCH: Final = 500  # clocks of one statement


def update(policy: RetentionPolicy, job: RunningJob) -> None:
    """Start the clocks of the images that a policy does not keep, and stop those of all others.

    Clocks that run already stay unchanged, so this function can be repeated, also after a killed
    run. One query for each family and project, and the heartbeats of the job in between.
    """
    now = timezone.now()
    _forget_deleted(policy)
    for holder in facts.holders(policy):
        job.progress(0)
        started, stopped = _changes(all_decisions(policy, now, holder))
        for ids in batches(stopped, BATCH):
            RetentionClock.objects.filter(policy=policy.pk, image__in=ids).delete()
            job.progress(0)
        for ids in batches(started, BATCH):
            _start(policy, ids, now)
            job.progress(0)


def _changes(decisions: Iterable[Decision]) -> tuple[list[str], list[str]]:
    """Return the ids of the images whose clocks start, and of those whose clocks stop."""
    started: list[str] = []
    stopped: list[str] = []
    for decision in decisions:
        fact = decision.fact
        if decision.decision in (KEEP, BLOCKED):
            if fact.since is not None:
                stopped.append(fact.image)
        elif clock(fact) is None:
            started.append(fact.image)
    return started, stopped


def _start(policy: RetentionPolicy, ids: list[str], now: datetime) -> None:
    RetentionClock.objects.bulk_create(
        [RetentionClock(policy_id=policy.pk, image_id=it, since=now) for it in ids],
        update_conflicts=True,
        unique_fields=["policy", "image"],
        update_fields=["since", "action", "acted_at"],
    )


def _forget_deleted(policy: RetentionPolicy) -> None:
    """Remove the clocks of deleted images, so that they begin again if the image is restored."""
    deleted = RetentionClock.objects.filter(
        policy=policy.pk, image__deleted_at__isnull=False
    )
    deleted.delete()
