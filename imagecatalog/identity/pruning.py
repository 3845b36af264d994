"""Deletion of old sign-in records, attempt counts and sessions by the background worker."""

from __future__ import annotations

import time
from datetime import timedelta
from importlib import import_module
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils import timezone

from imagecatalog.identity import attempt_counts
from imagecatalog.identity.models import SignInEvent
from images.duty import Duty

BATCH = 500  # rows per transaction: on SQLite all other writers wait for it

# The models of records, each with the field that has its time. (django-axes itself removes old
# attempts, but only when another attempt fails.)
RECORDS: dict[type[Model], str] = {
    SignInEvent: "at",
    AccessLog: "attempt_time",
    AccessFailureLog: "attempt_time",
    AccessAttempt: "attempt_time",
}


def prune() -> None:
    """Delete expired sessions, attempt counts that are no longer needed, and old sign-in records.

    Sign-in records are kept for IMAGECATALOG_SIGN_IN_RECORD_DAYS; 0 keeps them for ever.
    """
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    _remove(attempt_counts.due(time.time()).order_by("since"))
    days = settings.IMAGECATALOG_SIGN_IN_RECORD_DAYS
    if not days:
        return
    before = timezone.now() - timedelta(days=days)
    for model, field in RECORDS.items():
        due = model._default_manager.filter(**{f"{field}__lt": before})
        _remove(due.order_by(field))  # the order of the index, if there is one


def _remove(due: QuerySet[Any]) -> None:
    while ids := list(due.values_list("pk", flat=True)[:BATCH]):
        due.filter(pk__in=ids).delete()


DUTIES = (
    Duty(
        "prune sign-in records", prune, period=3600.0, may_block=True, when_paused=True
    ),
)
