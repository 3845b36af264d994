"""Data that is staged: kept until its import, and gone after every failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from images import errors, lifecycle, stores, uploads
from images.access import Caller
from images.attributes import Changes
from images.models import (
    ChunkStatus,
    Event,
    Image,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
    UploadChunk,
)
from images.operations import consistency
from images.stores.local import LocalStore
from images.transfers import reaper
from images.uploads import chunk_writing, staged
from tests.rows import current, status

LONG_AGO = "2000-01-01T00:00:00Z"
DATA = os.urandom(1000)
Stage = Callable[..., Image]


@pytest.fixture
def image(db: None, member: Caller) -> Image:
    """An image whose formats are not known yet."""
    return lifecycle.create({"owner": member.project}, {}, [], member)


@pytest.fixture
def stage(image: Image, member: Caller) -> Stage:
    """``stage(b"…", …)``: one request of the member with these blocks."""

    def stage(*blocks: bytes, size: int | None = None) -> Image:
        uploads.stage(image.pk, blocks, member, expected_size=size)
        return current(image)

    return stage


def kept() -> bytes:
    """Return what the stored chunks have, in their order."""
    found = UploadChunk.objects.filter(status=ChunkStatus.STORED).order_by("start")
    store = stores.default()
    return b"".join(b"".join(store.open(chunk.key)) for chunk in found)


def assert_nothing_is_left(image: Image) -> None:
    assert (status(image), current(image).size) == (Status.QUEUED, None)
    assert list(stores.default().keys()) == []
    assert not UploadChunk.objects.exists()
    assert list(consistency.check()) == []


def test_staged_bytes_are_counted_for_the_store_that_keeps_them(
    stage: Stage, counts: Callable[[], dict[tuple[str, ...], float]]
) -> None:
    stage(DATA[:10], DATA[10:])

    assert counts()["upload_bytes_total", "test", "local"] == len(DATA)


@pytest.mark.parametrize("size", [None, len(DATA)])
def test_staged_data_is_kept_and_counted(stage: Stage, size: int | None) -> None:
    image = stage(DATA[:10], DATA[10:], size=size)

    assert (image.status, image.size) == (Status.UPLOADING, len(DATA))
    assert (image.checksum, image.os_hash_value) == (None, None)
    assert kept() == DATA
    assert Transfer.objects.get().is_complete
    assert list(Event.objects.values_list("verb", flat=True)) == ["create", "stage"]
    assert list(consistency.check()) == []


@pytest.mark.parametrize("size", [None, 0])
def test_no_bytes_can_be_staged(stage: Stage, size: int | None) -> None:
    image = stage(size=size)

    assert (image.status, image.size) == (Status.UPLOADING, 0)
    assert Transfer.objects.get().is_complete


def test_much_data_is_kept_in_chunks(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_writing, "CHUNK", 100)

    stage(*(DATA[start : start + 50] for start in range(0, len(DATA), 50)))

    assert UploadChunk.objects.count() == 10
    assert kept() == DATA


def test_the_staging_store_keeps_the_data(
    stage: Stage, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_STORES += f",other=file://{tmp_path}/other"
    settings.IMAGECATALOG_STAGING_STORE = "other"

    stage(DATA)

    assert [size for _, size in stores.get("other").keys()] == [len(DATA)]
    assert list(stores.default().keys()) == []


@pytest.mark.parametrize("taken", [it for it in Status if it != Status.QUEUED])
def test_only_a_queued_image_takes_staged_data(
    make_image: Any, admin: Caller, taken: str
) -> None:
    image = make_image(taken)
    transfers = Transfer.objects.count()

    with pytest.raises((errors.Conflict, errors.NotFound)):
        uploads.stage(image.pk, [DATA], admin)

    assert status(image) == taken
    assert Transfer.objects.count() == transfers


def test_data_is_staged_once(stage: Stage, image: Image) -> None:
    stage(DATA)

    with pytest.raises(errors.Conflict, match="status 'uploading'"):
        stage(b"other")

    assert (status(image), kept()) == (Status.UPLOADING, DATA)


@pytest.mark.parametrize(
    ("blocks", "size", "message"),
    [
        ([b"ab"], 3, "Size mismatch: expected 3 bytes, got 2 bytes"),
        ([b"ab", b"cd"], 3, "Size exceeds: expected 3 bytes"),
    ],
)
def test_data_of_another_size_than_announced_is_refused(
    stage: Stage, image: Image, blocks: list[bytes], size: int, message: str
) -> None:
    with pytest.raises(errors.Invalid, match=message):
        stage(*blocks, size=size)

    assert_nothing_is_left(image)


def test_a_sender_that_vanishes_leaves_nothing(
    image: Image, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_writing, "CHUNK", 100)

    def broken() -> Iterator[bytes]:
        yield from [DATA[:100], DATA[100:150]]
        raise errors.BodyIncomplete("gone")

    with pytest.raises(errors.BodyIncomplete):
        uploads.stage(image.pk, broken(), member)

    assert_nothing_is_left(image)


@pytest.mark.parametrize("size", [None, 11])
def test_more_than_the_cap_is_refused(
    stage: Stage, image: Image, settings: Any, size: int | None
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = 10

    with pytest.raises(errors.OverLimit, match="maximum size of 10 bytes"):
        stage(b"12345678901", size=size)

    assert_nothing_is_left(image)


@pytest.mark.parametrize("size", [None, 11])
@pytest.mark.parametrize("quota", ["STAGING", "STORAGE"])
def test_more_than_a_quota_is_refused(
    stage: Stage, image: Image, settings: Any, size: int | None, quota: str
) -> None:
    setattr(settings, f"IMAGECATALOG_USER_{quota}_QUOTA", 10)

    with pytest.raises(errors.OverLimit, match="quota of 10 bytes"):
        stage(b"12345678901", size=size)

    assert_nothing_is_left(image)


def test_staged_data_counts_in_the_quota_of_the_next_image(
    stage: Stage, make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STAGING_QUOTA = 10
    stage(b"123456")
    other = make_image()

    with pytest.raises(errors.OverLimit, match="quota of 10 bytes"):
        uploads.stage(other.pk, [b"12345"], member)

    assert status(other) == Status.QUEUED


def test_a_full_store_queues_the_image_again(
    stage: Stage, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: LocalStore, key: str, *data: Any) -> None:
        raise errors.StoreFull("full")

    monkeypatch.setattr(LocalStore, "put", full)
    with pytest.raises(errors.StoreFull):
        stage(DATA)

    assert_nothing_is_left(image)


def test_an_image_deleted_meanwhile_keeps_nothing(image: Image, member: Caller) -> None:
    def deleting() -> Iterator[bytes]:
        yield DATA
        lifecycle.delete(image.pk, member)

    with pytest.raises(errors.Gone, match="could not be found after upload"):
        uploads.stage(image.pk, deleting(), member)

    assert list(stores.default().keys()) == []
    assert list(consistency.check()) == []


def test_a_deleted_image_loses_its_staged_data(
    stage: Stage, image: Image, member: Caller
) -> None:
    stage(DATA)

    lifecycle.delete(image.pk, member)
    reaper.reap()

    assert list(stores.default().keys()) == []
    assert not UploadChunk.objects.exists()


def test_the_size_of_pinned_data_stays_the_same(make_image: Any, admin: Caller) -> None:
    image = make_image(pinned=True, size=3, checksum="0" * 32)

    with pytest.raises(errors.Conflict, match="accepts only the same"):
        uploads.stage(image.pk, [DATA], admin, expected_size=len(DATA))
    uploads.stage(image.pk, [DATA], admin)

    assert current(image).size == 3


# From one process to another


def test_the_reaper_ends_what_a_dead_process_was_staging(
    stage: Stage, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged, "_complete", lambda upload: None)
    stage(DATA)
    Transfer.objects.update(heartbeat_at=LONG_AGO)

    ended = reaper.reap()

    assert len(ended) == 1
    assert_nothing_is_left(image)


def test_staged_data_needs_no_heartbeat(stage: Stage, image: Image) -> None:
    stage(DATA)
    Transfer.objects.update(heartbeat_at=LONG_AGO, worker="elsewhere:1")

    assert reaper.reap() == []
    assert (status(image), kept()) == (Status.UPLOADING, DATA)


def test_staged_data_expires(stage: Stage, image: Image) -> None:
    stage(DATA)
    Transfer.objects.update(deadline=LONG_AGO)

    assert len(reaper.reap()) == 1

    assert Transfer.objects.get().error == "The upload was not imported in time."
    assert_nothing_is_left(image)


def test_no_worker_imports_staged_data_unasked(stage: Stage, image: Image) -> None:
    stage(DATA)
    Transfer.objects.update(heartbeat_at=LONG_AGO)

    assert uploads.finish_waiting() == []
    assert status(image) == Status.UPLOADING


def test_staged_data_is_no_resumable_upload(stage: Stage, image: Image) -> None:
    stage(DATA)
    transfer = Transfer.objects.get()

    assert uploads.uploads(image.pk) == []
    with pytest.raises(errors.NotFound):
        uploads.find(image.pk, str(transfer.pk))


def test_the_formats_of_staged_data_can_be_set(
    stage: Stage, image: Image, member: Caller
) -> None:
    stage(DATA)
    formats = {"disk_format": "raw", "container_format": "bare"}

    lifecycle.update(image.pk, Changes(formats), member)

    assert current(image).disk_format == "raw"


def test_the_formats_of_a_resumable_upload_stay(
    make_image: Any, member: Caller
) -> None:
    image = make_image()
    uploads.begin(image.pk, len(DATA), member)

    with pytest.raises(errors.Forbidden, match="only replaced for a queued image"):
        lifecycle.update(image.pk, Changes({"disk_format": "qcow2"}), member)


def test_an_ended_stage_frees_the_image_for_the_next(
    stage: Stage, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.Invalid):
        stage(DATA, size=1)

    stage(DATA)

    assert (status(image), kept()) == (Status.UPLOADING, DATA)
    statuses = Transfer.objects.filter(kind=TransferKind.STAGE).values_list("status")
    assert sorted(statuses) == [(TransferStatus.FAILED,), (TransferStatus.RUNNING,)]
