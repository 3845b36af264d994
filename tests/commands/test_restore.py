from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from images import errors, lifecycle, stores
from images.access import Caller
from images.lifecycle import deletion
from images.models import Event, Image
from images.transfers import object_removal
from tests.rows import status

RACES = 25


def test_all_restores_what_is_in_the_trash(
    trashed: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_removal, "BATCH", 2)
    images = [trashed() for _ in range(5)]

    call_command("image_restore", "--all", "--reason", "a mistake")

    lines = capsys.readouterr().out.splitlines()
    assert lines == [*(f"{it.pk}: restored" for it in images), "5 images restored."]
    assert {status(image) for image in images} == {"active"}
    assert Event.objects.filter(verb="restore", reason="a mistake").count() == 5


@pytest.mark.parametrize("since", ["36h", "2d", "1w"])
def test_since_leaves_what_was_deleted_before(trashed: Any, since: str) -> None:
    old, young = trashed(days_ago=10), trashed(days_ago=1)

    call_command("image_restore", "--all", "--since", since)

    assert (status(old), status(young)) == ("pending_delete", "active")


def test_since_may_be_a_time_or_a_day(trashed: Any) -> None:
    old, young = trashed(days_ago=10), trashed(days_ago=1)
    time = timezone.now() - timedelta(days=5)

    call_command("image_restore", "--all", "--since", f"{time:%Y-%m-%d}")
    assert (status(old), status(young)) == ("pending_delete", "active")

    earlier = timezone.now() - timedelta(days=11)
    call_command("image_restore", "--all", "--since", earlier.isoformat())
    assert status(old) == "active"


def test_a_dry_run_lists_and_changes_nothing(trashed: Any, capsys: Any) -> None:
    image = trashed(name="disk")

    call_command("image_restore", "--all", "--dry-run")

    line, summary = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{image.pk}: would be restored: disk, 4 B, deleted ")
    assert summary == "1 image would be restored."
    assert status(image) == "pending_delete"


def test_one_that_fails_does_not_stop_the_rest(
    trashed: Any, make_image: Any, capsys: Any
) -> None:
    lost, fine, active = trashed(), trashed(), make_image("active")
    stores.default().delete(lost.locations.get().key)

    with pytest.raises(CommandError, match="2 of 3 images not restored"):
        call_command("image_restore", lost.pk, active.pk, fine.pk)

    shown = capsys.readouterr()
    assert f"{lost.pk}: Image {lost.pk} cannot be restored: its data is" in shown.err
    assert f"{fine.pk}: restored" in shown.out
    assert status(lost) == "pending_delete"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which images are meant"),
        (["some-id", "--all"], "which images are meant"),
        (["some-id", "--since", "2h"], "only with --all"),
        (["--all", "--since", "yesterday"], "is not a time"),
        (["--all", "--since", "2026-13-45"], "is not a time"),
        (["--all", "--since", "999999999w"], "is not a time"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("image_restore", *arguments)


# The verb


def test_a_copy_of_another_size_is_not_the_data(trashed: Any, member: Caller) -> None:
    image = trashed()
    Image.objects.filter(pk=image.pk).update(size=5)

    with pytest.raises(errors.Conflict, match="no longer in any store"):
        lifecycle.restore(image.pk, member)


def test_an_unknown_store_is_no_proof_that_the_data_is_gone(
    trashed: Any, member: Caller
) -> None:
    image = trashed()
    image.locations.update(store="renamed")

    with pytest.raises(errors.StoreError, match="cannot say whether it has the data"):
        lifecycle.restore(image.pk, member)

    assert status(image) == "pending_delete"


def test_one_copy_that_is_there_is_enough(trashed: Any, member: Caller) -> None:
    image = trashed()
    for store, key in (("renamed", "ab/second.0"), ("local", "ab/third.0")):
        image.locations.create(store=store, key=key, status="pending_delete")

    lifecycle.restore(image.pk, member)

    assert status(image) == "active"


# Restore and scrub meet


@pytest.fixture
def at_once(transactional_db: None) -> Callable[..., list[str]]:
    """Run verbs at the same moment, each on a connection of its own: the winners' names."""

    def run(*verbs: Callable[..., Any]) -> list[str]:
        line = Barrier(len(verbs))

        def go(verb: Callable[..., Any]) -> str:
            line.wait(60)
            try:
                verb()
            except errors.Conflict:
                return ""
            finally:
                connection.close()
            return verb.__name__

        with ThreadPoolExecutor(len(verbs)) as pool:
            return [name for name in pool.map(go, verbs) if name]

    return run


def test_of_restore_and_scrub_one_wins_and_an_active_image_has_its_bytes(
    at_once: Any, trashed: Any, member: Caller
) -> None:
    winners = []
    for _ in range(RACES):
        image = trashed()

        def restore(image_id: str = image.pk) -> None:
            lifecycle.restore(image_id, member)

        def scrub(image_id: str = image.pk) -> None:
            lifecycle.scrub(image_id, member)

        (winner,) = at_once(restore, scrub)

        winners.append(winner)
        if winner == "restore":
            assert b"".join(lifecycle.read(image.pk)) == b"four"
        else:
            assert status(image) == "deleted"
            assert image.locations.get().status == "deleted"
    assert len(winners) == RACES


def test_a_scrubber_that_comes_late_leaves_what_was_deleted_again(
    trashed: Any, member: Caller
) -> None:
    image = trashed(days_ago=2)
    until = lifecycle.due_until()
    lifecycle.restore(image.pk, member)
    lifecycle.delete(image.pk, member)

    with pytest.raises(errors.Conflict, match="scrub time"):
        lifecycle.scrub(image.pk, member, until=until)

    assert status(image) == "pending_delete"


def test_a_scrub_between_the_look_and_the_lock_wins(
    trashed: Any, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = trashed()
    look = deletion._readable_copy

    def looked(image_id: str) -> int | None:
        found = look(image_id)
        lifecycle.scrub(image_id, member)
        return found

    monkeypatch.setattr(deletion, "_readable_copy", looked)

    with pytest.raises(errors.Conflict):
        lifecycle.restore(image.pk, member)

    assert status(image) == "deleted"
    assert list(stores.default().keys()) == []
