from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from images import lifecycle, stores
from images.models import Image, ImageLocation
from images.transfers import object_removal
from tests.rows import status

pytestmark = pytest.mark.django_db


def test_it_takes_what_is_due_and_prints_the_ids(trashed: Any, capsys: Any) -> None:
    old, young = trashed(days_ago=2), trashed()

    call_command("image_scrub")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == old.pk
    assert lines[1].startswith("1 image deleted permanently")
    assert (status(old), status(young)) == ("deleted", "pending_delete")


def test_now_does_not_wait_for_the_scrub_time(trashed: Any, capsys: Any) -> None:
    image = trashed()

    call_command("image_scrub", "--now")

    assert status(image) == "deleted"
    assert list(stores.default().keys()) == []


def test_a_dry_run_says_how_much_would_be_lost(trashed: Any, capsys: Any) -> None:
    image = trashed()

    call_command("image_scrub", "--now", "--dry-run")

    assert capsys.readouterr().out == (
        f"{image.pk}\n1 image would be deleted permanently (4 B).\n"
    )
    assert status(image) == "pending_delete"


def test_on_a_terminal_it_asks_and_names_what_is_lost(
    trashed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = trashed()
    questions = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: questions.append(text) or "no")

    with pytest.raises(CommandError, match=r"Nothing was changed\."):
        call_command("image_scrub", "--now")

    assert "1 image in the trash, 4 B of data" in questions[0]
    assert status(image) == "pending_delete"
    call_command("image_scrub", "--now", "--yes")
    assert status(image) == "deleted"


def test_only_the_named_images_are_taken(trashed: Any) -> None:
    one, other = trashed(days_ago=2), trashed(days_ago=2)

    call_command("image_scrub", one.pk)

    assert (status(one), status(other)) == ("deleted", "pending_delete")


def test_a_named_image_that_is_not_due_is_refused_with_the_time(
    trashed: Any, make_image: Any, capsys: Any
) -> None:
    image, active = trashed(), make_image("active")

    with pytest.raises(CommandError, match="3 of the images"):
        call_command("image_scrub", image.pk, active.pk, "nothing")

    err = capsys.readouterr().err
    assert f"{image.pk}: is due at" in err
    assert f"{active.pk}: is active, not in the trash" in err
    assert "nothing: no such image" in err
    assert status(image) == "pending_delete"


def test_a_store_that_fails_does_not_stop_the_rest(
    trashed: Any, capsys: Any, settings: Any
) -> None:
    lost, fine = trashed(days_ago=3), trashed(days_ago=2)
    lost.locations.update(store="gone")

    call_command("image_scrub")

    assert (status(lost), status(fine)) == ("deleted", "deleted")
    assert lost.locations.get().status == "pending_delete"
    assert "1 object could not be removed" in capsys.readouterr().out


def test_a_trash_of_several_batches_is_emptied(
    trashed: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_removal, "BATCH", 2)
    images = [trashed() for _ in range(5)]
    at = timezone.now() - timedelta(hours=1)  # the same for two of them
    Image.objects.filter(pk__in=[images[1].pk, images[2].pk]).update(deleted_at=at)

    call_command("image_scrub", "--now")

    assert {status(image) for image in images} == {"deleted"}
    assert not ImageLocation.objects.exclude(status="deleted").exists()


def test_one_call_of_the_worker_takes_one_batch_of_the_oldest(
    trashed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_removal, "BATCH", 2)
    images = [trashed(days_ago=days) for days in (3, 4, 2)]

    assert lifecycle.scrub_due() == [images[1].pk, images[0].pk]
    assert lifecycle.scrub_due() == [images[2].pk]


def test_bytes_that_would_not_go_are_tried_at_once_by_the_command(
    trashed: Any, capsys: Any
) -> None:
    image = trashed(days_ago=2)
    image.locations.update(store="renamed")
    call_command("image_scrub")
    image.locations.update(store="local")

    call_command("image_scrub")

    assert "1 more object removed." in capsys.readouterr().out
    assert image.locations.get().status == "deleted"
    assert list(stores.default().keys()) == []
