"""Remove jobs that ended long ago."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from images.duty import Duty
from images.models import Job

BATCH: Final = 1000  # jobs of one transaction


def prune() -> int:
    """Remove the jobs that ended more than IMAGECATALOG_JOB_TIME_TO_LIVE ago; return their number."""
    before = timezone.now() - timedelta(seconds=settings.IMAGECATALOG_JOB_TIME_TO_LIVE)
    old = Job.objects.filter(finished_at__lt=before).order_by("finished_at")
    removed = 0
    while ids := list(old.values_list("pk", flat=True)[:BATCH]):
        removed += Job.objects.filter(pk__in=ids).delete()[0]
    return removed


DUTIES = (Duty("remove old jobs", prune, period=600.0, may_block=True),)
