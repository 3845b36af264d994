"""The clocks of a policy: since when it does not keep an image. Runs start and stop them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.utils import timezone

from images.job_queue import RunningJob
from images.models import RetentionClock, RetentionPolicy
from images.retention.decisions import BLOCKED, KEEP, clock
from images.retention.preview import all_decisions

BATCH: Final = 500  # clocks of one statement


def update(policy: RetentionPolicy, job: RunningJob) -> None:
    """Start the clocks of the images that a policy does not keep, and stop those of all others.

    Clocks that run are left alone, so that it does not matter how often the policy runs, and what
    a killed run has started already.
    """
    now = timezone.now()
    _forget_deleted(policy)
    started: list[str] = []
    stopped: list[str] = []
    for decision in all_decisions(policy, now):
        fact = decision.fact
        if decision.decision in (KEEP, BLOCKED):
            if fact.since is not None:
                stopped.append(fact.image)
        elif clock(fact) is None:
            started.append(fact.image)
        job.progress(0)
        if len(started) + len(stopped) >= BATCH:
            _save(policy, started, stopped, now)
            started, stopped = [], []
    _save(policy, started, stopped, now)


def _save(
    policy: RetentionPolicy, started: list[str], stopped: list[str], now: datetime
) -> None:
    RetentionClock.objects.filter(policy=policy.pk, image__in=stopped).delete()
    RetentionClock.objects.bulk_create(
        [RetentionClock(policy_id=policy.pk, image_id=it, since=now) for it in started],
        update_conflicts=True,
        unique_fields=["policy", "image"],
        update_fields=["since", "action", "acted_at"],
    )


def _forget_deleted(policy: RetentionPolicy) -> None:
    """Remove the clocks of deleted images: one that is restored has all the time again."""
    deleted = RetentionClock.objects.filter(
        policy=policy.pk, image__deleted_at__isnull=False
    )
    deleted.delete()
