"""Runs: what they act on, what they leave alone, what a death in between leaves, and their undo."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from images import errors, families, lifecycle
from images.access import Caller
from images.attributes import Changes
from images.job_queue import RunningJob
from images.jobs import kinds
from images.models import (
    Event,
    Family,
    Image,
    Job,
    RetentionClock,
    RetentionPolicy,
    RetentionRun,
)
from images.retention import clocks, facts, policies, runs, undoing
from images.retention.decisions import Fact
from images.retention.preview import preview
from tests.retention.conftest import carry_out

pytestmark = pytest.mark.django_db

STAGES = [{"hide": "0d"}, {"deactivate": "30d"}, {"delete": "90d"}]


def image(of: Image) -> Image:
    return Image.objects.get(pk=of.pk)


def results(run: RetentionRun) -> dict[str, str]:
    return {row.image_id: row.result for row in run.decisions.all()}


def later(days: float) -> None:
    """Let days pass: all that retention has stored, and the images, are older by so many."""
    span = timedelta(days=days)
    for clock in RetentionClock.objects.all():
        clock.since -= span
        clock.acted_at = clock.acted_at and clock.acted_at - span
        clock.save(update_fields=["since", "acted_at"])


# A run


def test_a_run_acts_on_exactly_what_the_preview_has_shown(
    policy: Any, aged: Any, run: Any
) -> None:
    made = policy()
    kept, *old = [aged(age) for age in range(4)]
    shown = {it.fact.image for it in preview(made).acts}

    done = run(reason="tidy up")

    assert shown == {it.pk for it in old} == results(done).keys()
    assert set(results(done).values()) == {"done"}
    assert all(image(it).os_hidden for it in old)
    assert not image(kept).os_hidden


def test_the_history_of_an_image_names_the_policy_and_the_run(
    policy: Any, aged: Any, run: Any
) -> None:
    policy()
    aged(1)
    old = aged(2)

    done = run(reason="tidy up")

    event = Event.objects.get(image=old)
    assert event.verb == "update"
    assert event.detail == {
        "os_hidden": [False, True],
        "policy": "old",
        "run": str(done.pk),
    }
    assert (
        event.reason
        == "tidy up (hide: 2 days old, 2nd of 2, no rule keeps it (last 1))"
    )
    assert (event.actor, event.interface) == ("root", "worker")


def test_images_are_hidden_then_deactivated_then_deleted(
    policy: Any, aged: Any, run: Any
) -> None:
    policy(actions=STAGES)
    aged(1)
    old = aged(400)

    seen = []
    for days in (0, 29, 1, 59, 1):
        later(days)
        run()
        now = image(old)
        seen.append((now.os_hidden, now.status))

    assert seen == [
        (True, "active"),
        (True, "active"),
        (True, "deactivated"),
        (True, "deactivated"),
        (True, "pending_delete"),
    ]


def test_a_policy_that_was_not_run_for_long_still_gives_the_time_between_stages(
    policy: Any, aged: Any, run: Any
) -> None:
    policy(actions=STAGES)
    aged(1)
    old = aged(400)
    run()

    later(365)
    run()
    run()  # the next day

    assert image(old).status == "deactivated"


def test_an_image_that_is_kept_again_starts_anew(
    policy: Any, aged: Any, run: Any
) -> None:
    policy(actions=STAGES, keep={"last": 1, "tags": ["keep"]})
    aged(1)
    old = aged(400)
    run()
    Image.objects.filter(pk=old.pk).update(tags=["keep"])
    later(31)
    run()
    Image.objects.filter(pk=old.pk).update(tags=[])

    run()

    assert image(old).status == "active"
    assert RetentionClock.objects.get().since > timezone.now() - timedelta(days=1)


def test_an_image_that_was_restored_from_the_trash_starts_anew(
    policy: Any, aged: Any, run: Any, admin: Caller
) -> None:
    policy(actions=[{"delete": "7d"}])
    aged(1)
    old = aged(400)
    run()
    later(7)
    run()
    assert image(old).status == "pending_delete"

    lifecycle.restore(old.pk, admin)
    run()

    assert image(old).status == "active"


def test_an_image_that_changes_before_the_run_comes_to_it_is_left_alone(
    policy: Any, aged: Any, admin: Caller
) -> None:
    made = policy()
    aged(0)
    changed, old = aged(1), aged(2)
    started = runs.start(admin, made.name, token=preview(made).token)
    lifecycle.update(changed.pk, Changes({"min_disk": 3}), admin)

    carry_out(started.job)

    assert results(started) == {changed.pk: "skipped", old.pk: "done"}
    row = started.decisions.get(image=changed.pk)
    assert (row.blocked_by, row.error) == (
        "changed",
        "Somebody has changed the image since the run began.",
    )


def test_an_image_is_left_alone_if_newer_ones_were_deleted_meanwhile(
    policy: Any, aged: Any, admin: Caller
) -> None:
    made = policy(keep={"last": 2})
    newest, second, third = aged(0), aged(1), aged(2)
    started = runs.start(admin, made.name, token=preview(made).token)
    lifecycle.delete(newest.pk, admin)

    carry_out(started.job)

    assert results(started) == {third.pk: "skipped"}
    assert started.decisions.get().error == (
        "The decision is another one by now: kept: last 2 (2nd of 2)."
    )
    assert not image(third).os_hidden
    assert not image(second).os_hidden


def test_one_image_that_cannot_be_deleted_does_not_end_a_run(
    policy: Any, aged: Any, run: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 21
    policy(actions=[{"delete": "0d"}])
    aged(0)
    images = [aged(1), aged(2)]  # of 21 bytes each
    run()  # sees them for the first time

    done = run()

    assert sorted(results(done).values()) == ["done", "skipped"]
    skipped = done.decisions.get(result="skipped")
    assert "has no room" in skipped.error
    statuses = sorted(image(it).status for it in images)
    assert statuses == ["active", "pending_delete"]


def test_images_that_are_skipped_do_not_keep_a_policy_from_the_others(
    policy: Any, aged: Any, run: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 5
    policy(actions=[{"delete": "0d"}], max_per_run=1)
    aged(0)
    large, small = aged(2), aged(1, data=b"tiny")
    run()  # sees them for the first time

    runs = [results(run()) for _ in range(2)]

    assert runs == [{large.pk: "skipped"}, {small.pk: "done"}]


def test_without_the_trash_nothing_is_deleted(
    policy: Any, aged: Any, run: Any, admin: Caller, settings: Any
) -> None:
    made = policy(actions=[{"delete": "0d"}])
    aged(0)
    old = aged(1)
    run()  # sees it for the first time
    started = runs.start(admin, made.name, token=preview(made).token)
    settings.IMAGECATALOG_DELAYED_DELETE = False

    carry_out(started.job)

    assert results(started) == {old.pk: "skipped"}
    assert started.decisions.get().blocked_by == "trash"
    assert image(old).status == "active"


# What a run needs


def test_a_run_needs_a_preview_that_still_holds(
    policy: Any, aged: Any, admin: Caller
) -> None:
    made = policy()
    aged(0)
    old = aged(1)
    token = preview(made).token
    lifecycle.update(old.pk, Changes({"min_disk": 3}), admin)

    with pytest.raises(errors.Changed, match="Look at a new preview"):
        runs.start(admin, made.name, token=token)
    with pytest.raises(errors.Invalid, match="token of a preview"):
        runs.start(admin, made.name)
    assert not RetentionRun.objects.exists()


def test_a_run_that_would_act_on_too_many_images_needs_force(
    policy: Any, aged: Any, admin: Caller, run: Any
) -> None:
    made = policy(max_share=50, max_per_run=1)
    for age in range(3):
        aged(age)

    with pytest.raises(errors.Conflict, match=r"on 2 of 3 images, .* \(50 %\)"):
        runs.start(admin, made.name, token=preview(made).token)
    run(force=True)

    assert Image.objects.filter(os_hidden=True).count() == 1


def test_one_run_of_a_policy_at_a_time(policy: Any, aged: Any, admin: Caller) -> None:
    made = policy()
    runs.start(admin, made.name, force=True)

    with pytest.raises(errors.Conflict, match="is not finished"):
        runs.start(admin, made.name, force=True)
    with pytest.raises(errors.Conflict, match="is not finished"):
        policies.delete(admin, made.name)


# Undo


def shown(of: Image) -> dict[str, Any]:
    row = Image.objects.filter(pk=of.pk).values().get()
    return {name: value for name, value in row.items() if name != "updated_at"}


@pytest.mark.parametrize("action", ["hide", "deactivate", "delete"])
def test_an_undone_run_leaves_the_images_as_they_were(
    action: str, policy: Any, aged: Any, run: Any, undo: Any
) -> None:
    policy(actions=[{action: "0d"}])
    aged(0)
    old = aged(1, properties={"os": "debian"}, tags=["a"])
    before = shown(old)
    if action == "delete":
        run()  # sees it for the first time
    done = run()
    assert shown(old) != before

    undone = undo(done, "a mistake")

    assert shown(old) == before
    assert results(undone) == {old.pk: "undone"}
    event = Event.objects.order_by("-pk")[0]
    assert event.reason == f"a mistake (undo of run {done.pk} of old)"
    assert event.detail["run"] == str(done.pk)


def test_an_undo_leaves_images_alone_that_somebody_has_touched(
    policy: Any, aged: Any, run: Any, undo: Any, admin: Caller
) -> None:
    policy()
    aged(0)
    touched, old = aged(1), aged(2)
    done = run()
    lifecycle.update(touched.pk, Changes({"min_disk": 3}), admin)

    undone = undo(done)

    assert results(undone) == {touched.pk: "not_undone", old.pk: "undone"}
    assert undone.decisions.get(image=touched.pk).error == (
        "Somebody has changed the image since the run."
    )
    assert image(touched).os_hidden


def test_two_runs_are_undone_one_after_the_other(
    policy: Any, aged: Any, run: Any, undo: Any
) -> None:
    policy(actions=[{"hide": "0d"}, {"deactivate": "1d"}])
    aged(0)
    old = aged(1)
    before = shown(old)
    first = run()
    later(1)
    second = run()
    assert image(old).status == "deactivated"

    undo(second)
    undo(first)

    assert shown(old) == before


def test_the_newer_one_of_two_runs_on_an_image_is_undone_first(
    policy: Any, aged: Any, run: Any, undo: Any, admin: Caller
) -> None:
    policy(actions=[{"hide": "0d"}, {"delete": "1d"}])
    aged(0)
    old = aged(1)
    first = run()
    later(1)
    second = run()

    with pytest.raises(errors.Conflict, match=f"Undo run {second.pk} first"):
        undoing.start(admin, first.pk)
    undo(second)
    undo(first)

    assert (image(old).status, image(old).os_hidden) == ("active", False)
    with pytest.raises(errors.Conflict, match=f"Run {first.pk} is undone already"):
        undoing.start(admin, first.pk)


def test_an_undo_ends_the_schedule_which_would_do_the_same_again(
    policy: Any, aged: Any, run: Any, undo: Any
) -> None:
    policy(schedule="30 3 * * *")
    aged(0), aged(1)

    undo(run())

    made = RetentionPolicy.objects.get()
    assert (made.enabled, made.next_run_at) == (False, None)


def test_a_run_that_changed_nothing_or_is_not_finished_cannot_be_undone(
    policy: Any, aged: Any, run: Any, admin: Caller
) -> None:
    made = policy()
    done = run()
    with pytest.raises(errors.Conflict, match="has changed no image"):
        undoing.start(admin, done.pk)

    started = runs.start(admin, made.name, force=True)
    with pytest.raises(errors.Conflict, match="is not finished"):
        undoing.start(admin, started.pk)


def test_a_run_can_be_undone_after_its_policy_was_deleted(
    policy: Any, aged: Any, run: Any, undo: Any, admin: Caller
) -> None:
    made = policy()
    aged(0)
    old = aged(1)
    done = run()

    policies.delete(admin, made.name)
    undo(done)

    assert not image(old).os_hidden


# Interruptions


class Death(BaseException):
    """The end of a process, which no code handles."""


@pytest.fixture
def die(monkeypatch: pytest.MonkeyPatch) -> Callable[[Job | None, str, int], None]:
    """``die(job, "progress", 2)``: carry out a job in a process that dies at the third progress.

    It dies before it acts on an image ("progress"), or while an image is locked ("check").
    """

    def die(job: Job | None, point: str, after: int) -> None:
        assert job is not None
        passed = iter(range(after))
        go_on = getattr(RunningJob, point)

        def look(handle: RunningJob, *args: Any) -> None:
            if next(passed, None) is None:
                raise Death
            go_on(handle, *args)

        with monkeypatch.context() as patch:
            patch.setattr(RunningJob, point, look)
            with pytest.raises(Death):
                kinds.carry_out(job.pk)
        # Another worker finds out that this one is dead.
        Job.objects.filter(pk=job.pk).update(status="waiting", worker="")

    return die


@pytest.mark.parametrize("point", ["progress", "check"])
@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("action", ["hide", "delete"])
def test_a_run_that_died_is_repeated_and_undone(
    point: str,
    after: int,
    action: str,
    policy: Any,
    aged: Any,
    run: Any,
    admin: Caller,
    die: Any,
) -> None:
    made = policy(actions=[{action: "0d"}])
    aged(0)
    images = [aged(1), aged(2), aged(3)]
    before = [shown(it) for it in images]
    if action == "delete":
        run()  # sees them for the first time
    started = runs.start(admin, made.name, token=preview(made).token)

    die(started.job, point, after)
    carry_out(started.job)

    assert set(results(started).values()) == {"done"}
    assert Event.objects.filter(image__in=images).count() == 3

    job = undoing.start(admin, started.pk)
    die(job, point, after)
    carry_out(job)

    assert [shown(it) for it in images] == before
    assert set(results(started).values()) == {"undone"}


@pytest.mark.django_db(transaction=True)
def test_a_run_begins_while_other_processes_write(
    policy: Any, aged: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(keep={"last": 1, "tags": ["keep"]}, actions=[{"hide": "1d"}])
    aged(0)
    old, kept = aged(1), aged(2)
    run()
    Image.objects.filter(pk=kept.pk).update(tags=["keep"])
    RetentionClock.objects.filter(image=old).delete()
    monkeypatch.setattr(facts, "CHUNK", 1)
    monkeypatch.setattr(clocks, "BATCH", 1)
    for name in "abc":  # of a project each
        aged(0, name=name, owner=name), aged(1, name=name, owner=name)
    read = facts._fact

    def read_while_others_write(*args: Any) -> Fact:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        return read(*args)

    monkeypatch.setattr(facts, "_fact", read_while_others_write)

    run(force=True)

    started = RetentionClock.objects.values_list("image", flat=True)
    assert old.pk in started
    assert kept.pk not in started
    assert len(started) == 4


def write() -> None:
    """Change a row on a connection of its own."""
    Image.objects.update(min_ram=F("min_ram") + 1)
    connection.close()


def test_a_version_that_is_promoted_before_the_run_comes_to_it_is_left_alone(
    policy: Any, aged: Any, admin: Caller, member: Caller
) -> None:
    families.create(member, {"name": "debian-13", "architecture": "x86_64"})
    new, old = aged(1), aged(2)
    for image_, label in ((new, "2"), (old, "1")):
        families.add(member, "debian-13", image_.pk, label=label)
    families.promote(member, "debian-13", "2")
    made = policy(actions=[{"deactivate": "0d"}])
    started = runs.start(admin, made.name, token=preview(made).token)
    families.promote(member, "debian-13", "1")

    carry_out(started.job)

    assert results(started) == {old.pk: "skipped"}
    assert Family.objects.get().current.image_id == old.pk
    assert image(old).status == "active"
