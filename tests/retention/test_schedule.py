"""Runs that the schedule starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from images import errors
from images.access import Caller
from images.models import Image, RetentionPolicy, RetentionRun
from images.retention import policies, schedule, scheduling
from images.retention.preview import Preview
from images.retention.scheduling import start_due
from tests.retention.conftest import carry_out

NIGHTLY = "30 3 * * *"


def be_due() -> None:
    past = timezone.now() - timedelta(days=3)
    RetentionPolicy.objects.update(next_run_at=past)


def test_a_schedule_is_in_utc() -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)

    assert schedule.next_time(NIGHTLY, now) == datetime(2026, 6, 2, 3, 30, tzinfo=UTC)
    assert schedule.next_time("", now) is None


@pytest.mark.parametrize(
    "text", ["daily", "* * * *", "0 0 3 * * *", "61 * * * *", "0 0 30 2 *", 5]
)
def test_what_is_no_schedule_is_refused(text: Any) -> None:
    with pytest.raises(errors.Invalid, match="Invalid schedule"):
        schedule.clean(text)


@pytest.mark.django_db
def test_a_due_policy_runs_once_for_all_the_times_that_were_missed(
    policy: Any, aged: Any
) -> None:
    policy(schedule=NIGHTLY)
    aged(0)
    old = aged(1)
    start_due()
    assert not RetentionRun.objects.exists()

    be_due()
    start_due()
    start_due()

    run = RetentionRun.objects.get()
    assert (run.reason, run.interface) == ("schedule", "worker")
    carry_out(run.job)
    assert Image.objects.get(pk=old.pk).os_hidden
    following = RetentionPolicy.objects.get().next_run_at
    assert following is not None
    assert following > timezone.now()


@pytest.mark.django_db
def test_a_disabled_policy_is_not_run(policy: Any, admin: Caller) -> None:
    policy(schedule=NIGHTLY)
    policies.update(admin, "old", {"enabled": False})

    assert RetentionPolicy.objects.get().next_run_at is None
    policies.update(admin, "old", {"enabled": True})
    assert RetentionPolicy.objects.get().next_run_at is not None


@pytest.mark.django_db
def test_a_scheduled_run_on_too_many_images_does_nothing_and_says_why(
    policy: Any, aged: Any
) -> None:
    policy(schedule=NIGHTLY, max_share=10)
    aged(0), aged(1)
    be_due()

    start_due()

    run = RetentionRun.objects.get()
    assert run.refusal.startswith("Policy old would act on 1 of 2 images")
    assert (run.job, run.decisions.count()) == (None, 0)


@pytest.mark.django_db
def test_a_policy_whose_last_run_is_not_finished_waits_for_its_next_time(
    policy: Any, aged: Any
) -> None:
    policy(schedule=NIGHTLY)
    for _ in range(2):
        be_due()
        start_due()

    assert RetentionRun.objects.count() == 1


@pytest.mark.django_db
def test_a_policy_that_cannot_be_run_keeps_no_other_from_its_run(
    policy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = policy(name="bad", schedule=NIGHTLY), policy(schedule=NIGHTLY)
    RetentionPolicy.objects.filter(pk=bad.pk).update(keep={"newer_than": "3 moons"})
    be_due()
    before = timezone.now()

    start_due()

    assert RetentionRun.objects.get().policy == good
    assert "retention policy bad cannot be run" in caplog.text
    bad.refresh_from_db()
    assert bad.next_run_at - before >= timedelta(hours=1)


@pytest.mark.django_db
def test_while_the_database_fails_no_time_is_passed_over(
    policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(schedule=NIGHTLY)
    be_due()

    def fail(policy: RetentionPolicy) -> Preview:
        raise OperationalError("the server has gone")

    with monkeypatch.context() as patch:
        patch.setattr(scheduling, "preview", fail)
        with pytest.raises(OperationalError):
            start_due()
    start_due()

    assert RetentionRun.objects.exists()


@pytest.mark.django_db
def test_the_times_of_schedules_are_counted_by_result(
    policy: Any, aged: Any, counts: Any
) -> None:
    policy(schedule=NIGHTLY), aged(0), aged(1)
    policy(name="careful", schedule=NIGHTLY, max_share=10)
    bad = policy(name="bad", schedule=NIGHTLY)
    RetentionPolicy.objects.filter(pk=bad.pk).update(keep={"newer_than": "3 moons"})

    def counted() -> dict[str, float]:
        name = "retention_scheduled_runs_total"
        return {key[1]: value for key, value in counts().items() if key[0] == name}

    start_due()
    assert counted() == {"started": 0, "refused": 0, "skipped": 0, "failed": 0}

    be_due()
    start_due()
    assert counted() == {"started": 1, "refused": 1, "skipped": 0, "failed": 1}

    be_due()
    start_due()
    assert counted() == {"started": 1, "refused": 2, "skipped": 1, "failed": 2}


@pytest.mark.django_db
def test_runs_are_removed_after_a_year(policy: Any, run: Any) -> None:
    policy()
    run(force=True), run(force=True)
    first = RetentionRun.objects.order_by("pk")[0]
    RetentionRun.objects.filter(pk=first.pk).update(
        started_at=timezone.now() - timedelta(days=366)
    )

    scheduling.remove_old()

    assert RetentionRun.objects.get().pk != first.pk
