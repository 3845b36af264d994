from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagecatalog.identity import attempt_counts, pruning
from imagecatalog.identity.models import AttemptCount, SignInEvent

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
RECORDS: dict[type[Model], dict[str, Any]] = {
    SignInEvent: {"verb": "refused", "user": "alice"},
    AccessLog: {"username": "alice"},
    AccessFailureLog: {"username": "alice"},
    AccessAttempt: {"username": "alice", "failures_since_start": 1},
}


@pytest.fixture(autouse=True)
def _a_week(settings: Any) -> None:
    settings.IMAGECATALOG_SIGN_IN_RECORD_DAYS = 7


def record(model: type[Model], age: timedelta, **more: Any) -> None:
    """Create a row of ``model`` whose time is ``age`` ago."""
    row = model.objects.create(**RECORDS[model] | more)
    at = {pruning.RECORDS[model]: timezone.now() - age}
    model.objects.filter(pk=row.pk).update(**at)


@pytest.mark.parametrize("model", RECORDS)
def test_old_records_go_and_others_stay(model: type[Model]) -> None:
    field = "user" if model is SignInEvent else "username"
    record(model, timedelta(days=7) + MINUTE, **{field: "old"})
    record(model, timedelta(days=7) - MINUTE, **{field: "young"})

    pruning.prune()

    assert list(model.objects.values_list(field, flat=True)) == ["young"]


def test_they_may_be_kept_for_ever(settings: Any) -> None:
    settings.IMAGECATALOG_SIGN_IN_RECORD_DAYS = 0
    record(SignInEvent, timedelta(days=5000))

    pruning.prune()

    assert SignInEvent.objects.count() == 1


def test_no_transaction_takes_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for _ in range(5):
        record(SignInEvent, timedelta(days=8))

    with CaptureQueriesContext(
        connection,
    ) as queries:
        pruning.prune()

    deleted = f'DELETE FROM "{SignInEvent._meta.db_table}"'
    assert sum(query["sql"].startswith(deleted) for query in queries) == 3
    assert not SignInEvent.objects.exists()


def test_sessions_that_have_expired_go() -> None:
    now = timezone.now()
    for key, until in (("past", now - MINUTE), ("open", now + MINUTE)):
        Session.objects.create(session_key=key, session_data="", expire_date=until)

    pruning.prune()

    assert [it.session_key for it in Session.objects.all()] == ["open"]


def test_counts_of_attempts_go_and_known_addresses_stay(settings: Any) -> None:
    settings.IMAGECATALOG_SIGN_IN_RECORD_DAYS = 0
    now = int(time.time())
    ended = now - attempt_counts.WINDOW - 1
    forgotten = now - attempt_counts.KNOWN - 1
    rows = {"running": (now, None), "ended": (ended, None), "known": (ended, ended)}
    rows["forgotten"] = (forgotten, forgotten)
    for key, (since, right_at) in rows.items():
        AttemptCount.objects.create(key=key, since=since, right_at=right_at)

    pruning.prune()

    kept = AttemptCount.objects.values_list("key", flat=True)
    assert set(kept) == {"running", "known"}
