"""Bytes that are due go apart from what the database knows, and a store that is away costs little."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from images import errors, lifecycle, stores
from images.access import Caller
from images.models import ChunkStatus, Image, ImageLocation, Transfer, UploadChunk
from images.stores import circuit_breaker
from images.stores.local import LocalStore
from images.transfers import object_removal, reaper
from images.transfers.workers import this_worker

pytestmark = pytest.mark.django_db

LONG_AGO = "2000-01-01T00:00:00Z"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stores that were asked to remove something; the one called ``gone`` never can."""
    asked: list[str] = []
    delete = LocalStore.delete

    def count(self: LocalStore, key: str, *, abandoned: bool = False) -> None:
        asked.append(self.id)
        if self.id == "gone":
            raise errors.StoreError("The store does not answer.")
        delete(self, key, abandoned=abandoned)

    monkeypatch.setattr(LocalStore, "delete", count)
    return asked


@pytest.fixture(autouse=True)
def two_stores(settings: Any, data_dir: Path) -> None:
    settings.IMAGECATALOG_STORES += f",gone=file://{data_dir}/gone"


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_removal, "BATCH", 2)


@pytest.fixture
def withdrawn(make_image: Any) -> Any:
    """A copy whose bytes are due, in a store."""

    def make(store: str, minutes_ago: int = 1) -> ImageLocation:
        location = make_image("deleted", data=b"data").locations.get()
        due = timezone.now() - timedelta(minutes=minutes_ago)
        ImageLocation.objects.filter(pk=location.pk).update(
            store=store, status="pending_delete", delete_after=due
        )
        return location

    return make


@pytest.fixture
def broken_off(make_image: Any) -> Any:
    """An attempt that has ended, whose bytes are to go from a store."""

    def make(store: str) -> Transfer:
        return Transfer.objects.create(
            image=make_image(),
            kind="upload",
            status="failed",
            store=store,
            key=f"ab/image.{Transfer.objects.count()}",
            heartbeat_at=LONG_AGO,
        )

    return make


@pytest.fixture
def chunk(make_image: Any) -> Any:
    """Of an upload that is complete, in a store."""

    def make(store: str) -> UploadChunk:
        count = Transfer.objects.count()
        upload = Transfer.objects.create(
            image=make_image(), kind="stage", status="done", store=store, key="-"
        )
        key = f"ab/chunk.{count}"
        return UploadChunk.objects.create(
            transfer=upload, start=0, key=key, status=ChunkStatus.STORED
        )

    return make


def left() -> Iterator[str]:
    """Where something is still to be removed."""
    waiting = ImageLocation.objects.filter(status="pending_delete")
    yield from waiting.values_list("store", flat=True)
    yield from Transfer.objects.unclean().values_list("store", flat=True)
    yield from UploadChunk.objects.values_list("transfer__store", flat=True)


def test_a_retry_removes_also_what_a_writer_of_the_same_process_left_unfinished(
    broken_off: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = broken_off("local")
    Transfer.objects.filter(pk=transfer.pk).update(worker=this_worker())
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        LocalStore,
        "delete",
        lambda self, key, abandoned=False: asked.append((key, abandoned)),
    )

    reaper.reap()

    assert asked == [(transfer.key, True)]


def test_a_dead_transfer_ends_without_asking_its_store(
    make_image: Any, asked: list[str]
) -> None:
    image = make_image("saving")
    stores.default().put(Transfer.objects.get().key, [b"half"])
    died = f"{this_worker()}0"  # began at another time than the one with its number
    Transfer.objects.update(worker=died)

    (ended,) = reaper.end_dead_transfers()

    assert ended.image_id == image.pk
    assert Image.objects.get().status == "queued"
    assert asked == []
    lifecycle.remove_due()
    assert list(stores.default().keys()) == []
    assert Transfer.objects.get().cleaned


def test_what_is_due_for_scrubbing_is_marked_without_asking_a_store(
    make_image: Any, member: Caller, settings: Any, asked: list[str]
) -> None:
    settings.IMAGECATALOG_SCRUB_TIME = 0
    image = make_image("active")
    lifecycle.delete(image.pk, member)

    assert lifecycle.scrub_due() == [image.pk]

    assert Image.objects.get().status == "deleted"
    assert asked == []
    lifecycle.remove_due()
    assert list(stores.default().keys()) == []
    assert ImageLocation.objects.get().status == "deleted"


def test_a_store_that_is_away_is_asked_a_few_times_a_round(
    withdrawn: Any, broken_off: Any, chunk: Any, asked: list[str]
) -> None:
    for make in (withdrawn, broken_off, chunk):
        for _ in range(4):
            make("gone")

    lifecycle.remove_due()

    assert asked == ["gone"] * circuit_breaker.THRESHOLD


def test_one_object_that_cannot_be_removed_keeps_no_other_one(
    withdrawn: Any,
    broken_off: Any,
    chunk: Any,
    data_dir: Path,
    small_batches: None,
) -> None:
    for make in (withdrawn, broken_off, chunk):
        stuck, *_ = make("local"), make("local"), make("local"), make("local")
        at = data_dir / "images" / stuck.key
        at.unlink(missing_ok=True)
        (at / "a folder").mkdir(parents=True)

    lifecycle.remove_due()

    assert list(left()) == ["local"] * 3


@pytest.mark.parametrize("stuck", ["broken_off", "chunk"])
def test_objects_that_cannot_be_removed_hide_nothing_behind_them_for_long(
    broken_off: Any, chunk: Any, data_dir: Path, stuck: str
) -> None:
    """More of them than a store may fail times in a row, and on each side of the others."""
    make = {"broken_off": broken_off, "chunk": chunk}
    for _ in range(5):
        at = data_dir / "images" / make[stuck]("local").key
        at.unlink(missing_ok=True)
        (at / "a folder").mkdir(parents=True)
    for _ in range(3):
        broken_off("local")
        chunk("local")

    for _ in range(5):
        lifecycle.remove_due()

    assert list(left()) == ["local"] * 5


def test_what_cannot_be_removed_is_tried_once_a_round(
    chunk: Any, broken_off: Any, asked: list[str], small_batches: None
) -> None:
    for make in (broken_off, chunk):
        make("gone")

    lifecycle.remove_due()

    assert asked == ["gone"] * 2


def test_a_store_that_is_away_hides_no_copy_of_another_one(
    withdrawn: Any, asked: list[str], small_batches: None
) -> None:
    for minutes in (9, 8, 7):
        withdrawn("gone", minutes)
    for minutes in (5, 4, 3):
        withdrawn("local", minutes)

    assert lifecycle.remove_due_objects() == 3

    assert list(left()) == ["gone"] * 3


def test_a_store_that_is_away_hides_no_chunk_and_no_attempt_in_another_one(
    broken_off: Any, chunk: Any, asked: list[str], small_batches: None
) -> None:
    for store in ("gone", "gone", "gone", "local", "local", "local"):
        broken_off(store)
        chunk(store)

    lifecycle.remove_due()

    assert list(left()) == ["gone"] * 6


def test_all_batches_of_what_would_not_go_are_tried_once_but_for_stores_that_are_away(
    withdrawn: Any, asked: list[str], small_batches: None
) -> None:
    for store in ("gone", "gone", "gone", "gone", "local", "local", "local"):
        withdrawn(store)

    assert lifecycle.retry_due_objects() == 3

    assert asked == ["gone"] * 3 + ["local"] * 3


def test_the_writer_of_an_attempt_that_was_ended_may_clean_up_himself(
    make_image: Any, asked: list[str]
) -> None:
    make_image("saving")
    Transfer.objects.update(deadline=LONG_AGO)  # it beats all the time

    assert len(reaper.end_dead_transfers()) == 1
    lifecycle.remove_due()

    assert asked == []
    assert not Transfer.objects.get().cleaned


def test_a_command_that_empties_the_trash_asks_a_store_that_is_away_a_few_times(
    make_image: Any, member: Caller, asked: list[str], capsys: Any
) -> None:
    for _ in range(5):
        image = make_image("active")
        image.locations.update(store="gone")
        lifecycle.delete(image.pk, member)

    call_command("image_scrub", "--now")

    assert asked == ["gone"] * circuit_breaker.THRESHOLD
    assert "5 objects could not be removed" in capsys.readouterr().out
