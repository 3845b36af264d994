"""Staged data that is one object of the target store becomes the image's without a second copy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from images import errors, imports, lifecycle, stores, uploads
from images.access import Caller
from images.imports import ImportRequest, queue
from images.models import Image, Status, Transfer, UploadChunk
from images.operations import consistency
from images.stores.local import LocalStore
from images.uploads import chunk_writing
from tests.rows import current

pytestmark = pytest.mark.django_db

DATA = os.urandom(1000)
RAW = {"disk_format": "raw", "container_format": "bare"}
Stage = Callable[..., Image]


@pytest.fixture(autouse=True)
def two_stores(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES += f",further=file://{tmp_path}/further"


@pytest.fixture
def stage(member: Caller) -> Stage:
    """``stage(disk_format="qcow2")``: an image with DATA staged in one chunk, of known size."""

    def stage(size: int | None = len(DATA), **fields: Any) -> Image:
        fields = RAW | {"owner": member.project} | fields
        image = lifecycle.create(fields, {}, [], member)
        blocks = DATA[:500], DATA[500:]
        uploads.stage(image.pk, blocks, member, expected_size=size)
        return current(image)

    return stage


def bring_in(image: Image, actor: Caller, store: str = "local") -> None:
    wanted = ImportRequest("glance-direct", store_ids=(store,))
    imports.request_import(image.pk, wanted, actor)
    waiting = queue.next_waiting([], [])
    assert waiting
    queue.carry_out(waiting.id)


def objects(store: str = "local") -> list[str]:
    return [key for key, _ in stores.get(store).keys()]


def assert_imported(image: Image) -> None:
    found = current(image)
    assert found.status == Status.ACTIVE
    assert found.os_hash_value == hashlib.sha512(DATA).hexdigest()
    assert found.checksum == hashlib.md5(DATA).hexdigest()
    assert b"".join(lifecycle.read(image.pk)) == DATA
    assert not UploadChunk.objects.exists()
    assert list(consistency.check(read_bytes=True)) == []


@pytest.fixture
def no_writing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def put(*args: Any) -> None:
            raise AssertionError("written again")

        monkeypatch.setattr(LocalStore, "put", put)

    return forbid


def test_the_staged_object_becomes_the_images(
    stage: Stage, member: Caller, no_writing: Callable[[], None]
) -> None:
    image = stage()
    staged = objects()
    no_writing()

    bring_in(image, member)

    assert objects() == staged
    assert_imported(image)
    assert image.locations.get().key == staged[0]


def test_data_of_known_size_is_one_object_however_large_it_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_writing, "CHUNK", 100)
    stage()
    assert UploadChunk.objects.count() == 1

    stage(size=None)
    assert UploadChunk.objects.count() == 3


def test_a_resumable_upload_of_one_chunk_is_not_written_again(
    member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = lifecycle.create(RAW | {"owner": member.project}, {}, [], member)
    upload = uploads.begin(image.pk, len(DATA), member)
    written: list[str] = []
    put = LocalStore.put

    def count(self: Any, key: str, *rest: Any) -> None:
        written.append(key)
        put(self, key, *rest)

    monkeypatch.setattr(LocalStore, "put", count)
    uploads.append(image.pk, str(upload.pk), 0, iter([DATA]), member)

    assert len(written) == 1
    assert_imported(image)


@pytest.mark.parametrize("reason", ["another store", "several chunks", "a plugin"])
def test_other_staged_data_is_written_into_an_object_of_its_own(
    stage: Stage,
    member: Caller,
    reason: str,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if reason == "several chunks":
        monkeypatch.setattr(chunk_writing, "CHUNK", 100)
    if reason == "a plugin":
        settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression",)
    image = stage(size=None if reason == "several chunks" else len(DATA))
    staged = objects()
    store = "further" if reason == "another store" else "local"

    bring_in(image, member, store)

    assert set(objects()).isdisjoint(staged)
    assert len(objects(store)) == 1
    assert_imported(image)


def test_data_that_is_refused_leaves_no_object(stage: Stage, member: Caller) -> None:
    image = stage(disk_format="qcow2")

    with pytest.raises(errors.ContentRefused):
        bring_in(image, member)

    assert current(image).status == Status.QUEUED
    assert objects() == []
    assert list(consistency.check()) == []


def test_a_staged_object_that_was_damaged_is_refused(
    stage: Stage, member: Caller, data_dir: Path
) -> None:
    image = stage()
    (key,) = objects()
    path = data_dir / "images" / key
    path.write_bytes(path.read_bytes()[::-1])

    with pytest.raises(errors.StoreError, match="damaged"):
        bring_in(image, member)

    assert current(image).status == Status.QUEUED
    assert objects() == []


def test_an_import_into_a_store_that_fails_keeps_the_staged_object(
    stage: Stage, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = stage()
    staged = objects()

    def fail(*args: Any) -> None:
        raise errors.StoreError("The store does not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(LocalStore, "open", fail)
        with pytest.raises(errors.StoreError):
            bring_in(image, member)
    assert current(image).status == Status.UPLOADING
    assert objects() == staged

    bring_in(image, member)

    assert objects() == staged
    assert_imported(image)


def test_the_object_goes_with_the_image(
    stage: Stage, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_DELAYED_DELETE = False
    image = stage()
    bring_in(image, member)

    lifecycle.delete(image.pk, member)

    assert objects() == []
    assert list(consistency.check()) == []


def test_an_imported_object_is_counted_once(
    stage: Stage, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = len(DATA)
    bring_in(stage(), member)

    with pytest.raises(errors.OverLimit):
        stage()

    assert Transfer.objects.filter(status="done").count() == 2
