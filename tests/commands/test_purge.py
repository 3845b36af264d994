from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from images.models import Image

pytestmark = pytest.mark.django_db


@pytest.fixture
def deleted(make_image: Any) -> Any:
    def make(days_ago: float = 40) -> Image:
        at = timezone.now() - timedelta(days=days_ago)
        return make_image("deleted", deleted_at=at)

    return make


def test_it_purges_what_is_old_in_batches(deleted: Any, capsys: Any) -> None:
    old = sorted(deleted().pk for _ in range(5))
    young = deleted(days_ago=20)

    call_command("image_purge", "--batch", "2")

    *lines, summary = capsys.readouterr().out.splitlines()
    assert sorted(lines) == [f"{image_id}: purged" for image_id in old]
    assert summary.startswith("5 images deleted before ")
    assert summary.endswith("purged; ids stay reserved.")
    assert not Image.objects.get(pk=young.pk).purged


@pytest.mark.parametrize("age", ["1.5", "36h"])
def test_the_age_is_given_in_days_or_with_a_unit(deleted: Any, age: str) -> None:
    deleted(days_ago=2)

    call_command("image_purge", "--age", age)

    assert Image.objects.get().purged


def test_a_dry_run_changes_nothing(deleted: Any, capsys: Any) -> None:
    images = [deleted() for _ in range(3)]

    call_command("image_purge", "--dry-run", "--batch", "1", "--release-ids")

    out = capsys.readouterr().out
    assert all(f"{image.pk}: would be purged" in out for image in images)
    assert Image.objects.filter(purged=False).count() == 3


def test_releasing_ids_is_warned_of(deleted: Any, capsys: Any) -> None:
    deleted()

    call_command("image_purge", "--release-ids")

    assert "WARNING" in capsys.readouterr().err
    assert not Image.objects.exists()


def test_what_waits_for_its_bytes_is_counted(deleted: Any, capsys: Any) -> None:
    deleted().locations.create(store="gone", key="ab/x.1", status="pending_delete")

    call_command("image_purge")

    assert "1 more image skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["--age", "-1"], ["--age", "nan"], ["--age", "x"], ["--batch", "0"]],
)
def test_a_wrong_number_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="is no"):
        call_command("image_purge", *arguments)
