"""Imports into several stores: read once, written to all, and what a failing store means."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from images import errors, imports, lifecycle, logs, stores, uploads
from images.access import Caller
from images.imports import ImportRequest, queue
from images.lifecycle import storing
from images.models import (
    Event,
    Image,
    ImageLocation,
    Status,
    TargetStatus,
    Transfer,
    TransferKind,
    TransferStatus,
    TransferTarget,
    UploadChunk,
)
from images.operations import consistency
from images.stores.local import LocalStore
from images.transfers import object_removal, reaper, usage
from tests.copies import waiting_copies, work
from tests.rows import current, status
from tests.servers import S3
from tests.web import serving_files

DATA = os.urandom(3 << 20)
RAW = {"disk_format": "raw", "container_format": "bare"}
METHODS = ["glance-direct", "web-download", "copy-image"]
Prepare = Callable[..., tuple[Image, ImportRequest]]


@pytest.fixture(autouse=True)
def three_stores(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES = ",".join(
        f"{name}=file://{tmp_path}/{name}" for name in ("images", "far", "third")
    )


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    files = {"disk.raw": DATA, "unannounced": DATA}
    with serving_files(tmp_path / "web", settings, **files) as url:
        yield url


@pytest.fixture
def prepare(db: None, member: Caller, web: str) -> Prepare:
    """``prepare("copy-image", "far", "third")``: an image, and the request to import into it."""

    def prepare(method: str, *names: str, **more: Any) -> tuple[Image, ImportRequest]:
        image = lifecycle.create(RAW | {"owner": member.project}, {}, [], member)
        if method == "glance-direct":
            uploads.stage(image.pk, [DATA], member)
        if method == "copy-image":
            lifecycle.upload(image.pk, [DATA], member)
        uri = f"{web}/disk.raw" if method == "web-download" else ""
        return image, ImportRequest(method, uri, store_ids=names, **more)

    return prepare


@pytest.fixture
def break_store(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``break_store("far")``: the store takes a block, and then fails."""

    def break_store(broken: str, error: Exception | None = None) -> None:
        put = LocalStore.put  # which may be broken for another store
        failure = error or errors.StoreFull("The store is full.")

        def failing(blocks: Iterable[bytes]) -> Iterator[bytes]:
            for block in blocks:
                yield block
                raise failure

        def put_or_fail(self: LocalStore, key: str, blocks: Any, *rest: Any) -> None:
            put(self, key, failing(blocks) if self.id == broken else blocks, *rest)

        monkeypatch.setattr(LocalStore, "put", put_or_fail)

    return break_store


def request(image: Image, wanted: ImportRequest, admin: Caller) -> None:
    imports.request_import(image.pk, wanted, admin)


def held(image: Image) -> list[str]:
    active = ImageLocation.objects.filter(image=image, status="active")
    return [location.store for location in active.order_by("pk")]


def objects() -> list[str]:
    """The stores with objects of images, once for each object, without staged data."""
    staged = set(UploadChunk.objects.values_list("key", flat=True))
    return [
        store.id
        for store in stores.configured()
        for key, _ in store.keys()
        if key not in staged
    ]


def newest() -> Transfer:
    return Transfer.objects.exclude(task_id=None).latest("started_at")


def targets() -> dict[str, str]:
    return dict(newest().targets.order_by("pk").values_list("store", "status"))


def assert_consistent() -> None:
    assert list(consistency.check(read_bytes=True)) == []


# Success


@pytest.mark.parametrize("method", ["glance-direct", "web-download"])
def test_the_data_goes_to_all_named_stores(
    method: str, prepare: Prepare, admin: Caller
) -> None:
    image, wanted = prepare(method, "far", "images")
    request(image, wanted, admin)
    assert_consistent()

    work()

    assert (status(image), held(image)) == (Status.ACTIVE, ["far", "images"])
    assert objects() == ["images", "far"]
    assert targets() == {"far": TargetStatus.DONE, "images": TargetStatus.DONE}
    for location in image.locations.all():
        assert b"".join(stores.get(location.store).open(location.key)) == DATA
    assert not UploadChunk.objects.exists()
    assert_consistent()


def test_an_image_is_copied_to_several_stores(prepare: Prepare, admin: Caller) -> None:
    image, wanted = prepare("copy-image", "far", "third")
    request(image, wanted, admin)

    work()

    assert (status(image), held(image)) == (Status.ACTIVE, ["images", "far", "third"])
    event = Event.objects.filter(image=image).latest("pk")
    assert (event.verb, event.detail["store"]) == ("copy_image", "far,third")
    assert_consistent()


def test_a_source_is_read_once(
    prepare: Prepare, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, wanted = prepare("copy-image", "far", "third")
    opened: list[str] = []
    read = LocalStore.open

    def counting(self: LocalStore, *arguments: Any) -> Any:
        opened.append(self.id)
        return read(self, *arguments)

    request(image, wanted, admin)
    monkeypatch.setattr(LocalStore, "open", counting)
    work()

    assert opened == ["images"]


@pytest.mark.parametrize("method", ["glance-direct", "web-download"])
def test_all_stores_get_the_data(method: str, prepare: Prepare, admin: Caller) -> None:
    image, wanted = prepare(method, all_stores=True)
    request(image, wanted, admin)

    work()

    assert held(image) == ["images", "far", "third"]


def test_all_stores_are_copied_to_but_those_that_have_the_data(
    prepare: Prepare, admin: Caller
) -> None:
    image, wanted = prepare("copy-image", all_stores=True)
    request(image, wanted, admin)
    assert targets() == {"far": "waiting", "third": "waiting"}

    work()

    assert held(image) == ["images", "far", "third"]
    assert imports.request_import(image.pk, wanted, admin) is None
    assert Transfer.objects.filter(kind=TransferKind.IMAGE_COPY).count() == 1


# Failing stores


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("broken", ["far", "third"])
def test_an_import_fails_with_one_of_its_stores(
    method: str, broken: str, prepare: Prepare, admin: Caller, break_store: Any
) -> None:
    image, wanted = prepare(method, "far", "third")
    before = objects()
    request(image, wanted, admin)
    break_store(broken)

    work()

    left = {
        "glance-direct": Status.UPLOADING,
        "web-download": Status.QUEUED,
        "copy-image": Status.ACTIVE,
    }
    assert status(image) == left[method]
    assert objects() == before
    failed = newest()
    assert (failed.status, failed.error) == ("failed", "The store is full.")
    assert failed.cleaned
    assert targets()[broken] == TargetStatus.FAILED
    assert_consistent()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("broken", ["far", "third"])
def test_an_import_can_succeed_without_one_of_its_stores(
    method: str, broken: str, prepare: Prepare, admin: Caller, break_store: Any
) -> None:
    image, wanted = prepare(method, "far", "third", all_must_succeed=False)
    request(image, wanted, admin)
    break_store(broken)

    work()

    (good,) = {"far", "third"} - {broken}
    assert status(image) == Status.ACTIVE
    assert [name for name in held(image) if name != "images"] == [good]
    assert newest().status == TransferStatus.DONE
    assert targets() == {broken: TargetStatus.FAILED, good: TargetStatus.DONE}
    failed = TransferTarget.objects.get(store=broken)
    assert (failed.error_code, failed.cleaned) == (errors.StoreFull.code, True)
    event = Event.objects.filter(image=image).latest("pk")
    assert event.detail["failed_stores"] == broken
    assert broken not in objects()
    assert_consistent()


def test_the_log_says_what_is_wrong_with_a_store_that_an_import_can_do_without(
    prepare: Prepare,
    admin: Caller,
    s3: S3,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cold = s3.store("cold").replace(s3.bucket, "no-such-bucket")
    settings.IMAGECATALOG_STORES += f",{cold}"
    image, wanted = prepare("web-download", "far", "cold", all_must_succeed=False)
    request(image, wanted, admin)

    work()

    assert (status(image), held(image)) == (Status.ACTIVE, ["far"])
    (told,) = [it for it in caplog.records if it.getMessage() == "store cold failed"]
    assert "The bucket does not exist." in logs.TextFormatter().format(told)
    assert "bucket" not in newest().targets.get(store="cold").error


def test_an_import_fails_when_all_its_stores_fail(
    prepare: Prepare, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: LocalStore, key: str, *data: Any) -> None:
        raise errors.StoreFull("The store is full.")

    image, wanted = prepare("web-download", "far", "third", all_must_succeed=False)
    request(image, wanted, admin)
    monkeypatch.setattr(LocalStore, "put", full)

    work()

    assert (status(image), objects()) == (Status.QUEUED, [])
    assert newest().status == TransferStatus.FAILED
    assert set(targets().values()) == {TargetStatus.FAILED}


@pytest.mark.parametrize("all_must_succeed", [True, False])
def test_refused_data_is_in_no_store(
    all_must_succeed: bool, prepare: Prepare, admin: Caller
) -> None:
    image, wanted = prepare(
        "web-download", "far", "third", all_must_succeed=all_must_succeed
    )
    Image.objects.filter(pk=image.pk).update(disk_format="qcow2")
    request(image, wanted, admin)

    work()

    assert (status(image), objects()) == (Status.QUEUED, [])
    assert newest().error_code == errors.ContentRefused.code
    assert_consistent()


def test_a_store_that_is_configured_no_more_fails_alone(
    prepare: Prepare, admin: Caller, settings: Any, tmp_path: Path
) -> None:
    image, wanted = prepare("web-download", "images", "far", all_must_succeed=False)
    request(image, wanted, admin)
    settings.IMAGECATALOG_STORES = f"images=file://{tmp_path}/images"

    work()

    assert (status(image), held(image)) == (Status.ACTIVE, ["images"])
    assert targets()["far"] == TargetStatus.FAILED


def test_an_unexpected_error_is_no_failure_of_a_store(
    prepare: Prepare, admin: Caller, break_store: Any
) -> None:
    image, wanted = prepare("web-download", "images", "far", all_must_succeed=False)
    request(image, wanted, admin)
    break_store("far", RuntimeError("a fault of the service"))

    with pytest.raises(RuntimeError):
        queue.carry_out(waiting_copies()[0])

    assert (status(image), objects()) == (Status.QUEUED, [])


def test_an_unexpected_error_is_raised_beside_the_failure_of_another_store(
    prepare: Prepare, admin: Caller, break_store: Any
) -> None:
    names = ("images", "far", "third")
    image, wanted = prepare("web-download", *names, all_must_succeed=False)
    request(image, wanted, admin)
    break_store("images")
    break_store("far", RuntimeError("a fault of the service"))

    with pytest.raises(RuntimeError):
        queue.carry_out(waiting_copies()[0])

    assert (status(image), objects()) == (Status.QUEUED, [])


def test_what_a_failed_store_keeps_is_removed_later(
    prepare: Prepare,
    admin: Caller,
    break_store: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    image, wanted = prepare("web-download", "images", "far", all_must_succeed=False)
    request(image, wanted, admin)
    break_store("far")
    with monkeypatch.context() as patch:
        patch.setattr(object_removal, "delete", lambda *_, **__: False)
        work()
    left = TransferTarget.objects.get(store="far")
    half = tmp_path / "far" / left.key
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"half of it")
    assert_consistent()
    assert Transfer.objects.partly_unclean().count() == 1

    reaper.reap()

    left.refresh_from_db()
    assert (left.cleaned, objects()) == (True, ["images"])
    assert not Transfer.objects.partly_unclean().exists()
    assert_consistent()


# Workers that are stopped or die


def test_a_worker_that_is_stopped_leaves_all_stores_to_the_next(
    prepare: Prepare, admin: Caller
) -> None:
    image, wanted = prepare("web-download", "far", "third", all_must_succeed=False)
    request(image, wanted, admin)
    with pytest.raises(errors.ServerStopping):
        queue.carry_out(waiting_copies()[0], lambda: True)
    assert objects() == []
    assert not any(newest().targets.values_list("required", flat=True))

    work()

    assert (status(image), held(image)) == (Status.ACTIVE, ["far", "third"])
    assert_consistent()


def test_a_location_whose_check_is_repeated_has_no_target_stores(
    make_image: Any, web: str, member: Caller
) -> None:
    image = make_image()
    lifecycle.request_location(image.pk, f"{web}/disk.raw", {}, member, {})

    with pytest.raises(errors.ServerStopping):
        queue.carry_out(waiting_copies()[0], lambda: True)

    assert newest().kind == TransferKind.LOCATION
    assert not TransferTarget.objects.exists()


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_that_dies_leaves_nothing_in_any_store(
    method: str, prepare: Prepare, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Died

    image, wanted = prepare(method, "far", "third")
    before = objects()
    request(image, wanted, admin)
    with monkeypatch.context() as patch, suppress(Died):
        patch.setattr("images.lifecycle.uploading._add_data", die)
        patch.setattr("images.lifecycle.uploading._fail", die)
        work()
    assert sorted(objects()) == sorted([*before, "far", "third"])
    assert_consistent()
    silent = Transfer.objects.filter(pk=newest().pk)
    for _ in range(2):  # the second time the writer has had its time to clean up
        silent.update(heartbeat_at="2000-01-01T00:00:00Z", worker="elsewhere:1")
        reaper.reap()

    assert objects() == before
    assert newest().error_code == errors.LeaseExpired.code
    assert_consistent()


def test_a_writer_that_lost_its_lease_leaves_nothing(
    prepare: Prepare, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, wanted = prepare("web-download", "far", "third")
    request(image, wanted, admin)
    write = storing.write

    def late(data: Any, transfer: Transfer, rows: Any) -> Any:
        stored = write(data, transfer, rows)
        silent = Transfer.objects.filter(pk=transfer.pk)
        silent.update(heartbeat_at="2000-01-01T00:00:00Z", worker="elsewhere:1")
        reaper.end_dead_transfers()
        return stored

    monkeypatch.setattr("images.lifecycle.uploading.write", late)

    with pytest.raises(errors.Gone):
        queue.carry_out(waiting_copies()[0])

    assert (status(image), objects()) == (Status.QUEUED, [])
    assert_consistent()


# Quota


@pytest.mark.parametrize("method", METHODS)
def test_each_copy_counts_against_the_quota(
    method: str, prepare: Prepare, admin: Caller, settings: Any
) -> None:
    image, wanted = prepare(method, "far", "third")
    copies = 3 if method == "copy-image" else 2
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = copies * len(DATA) - 1
    before = status(image)
    with pytest.raises(errors.OverLimit):
        request(image, wanted, admin)
    assert status(image) == before

    settings.IMAGECATALOG_USER_STORAGE_QUOTA = copies * len(DATA)
    request(image, wanted, admin)
    project = str(image.owner)
    assert usage.stored(project) + usage.reserved(project) == copies * len(DATA)
    work()

    assert status(image) == Status.ACTIVE
    assert (usage.stored(project), usage.reserved(project)) == (copies * len(DATA), 0)


def test_each_copy_of_data_of_unknown_size_counts(
    prepare: Prepare, admin: Caller, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "images.lifecycle.fetch_requests._reported_size", lambda _: None
    )
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 2 * len(DATA) - 1
    image, wanted = prepare("web-download", "far", "third")
    request(image, wanted, admin)

    work()

    assert (status(image), objects()) == (Status.QUEUED, [])
    assert newest().error_code == errors.OverLimit.code


def test_staged_data_that_is_kept_counts_once_again(
    prepare: Prepare, admin: Caller, settings: Any, break_store: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 2 * len(DATA)
    image, wanted = prepare("glance-direct", "far", "third")
    request(image, wanted, admin)
    break_store("far")

    work()

    assert status(image) == Status.UPLOADING
    assert usage.reserved(str(image.owner)) == len(DATA)


# Requests


@pytest.mark.parametrize("method", METHODS)
def test_each_store_must_exist(method: str, prepare: Prepare, admin: Caller) -> None:
    image, wanted = prepare(method, "far", "nowhere")
    before = status(image)

    with pytest.raises(errors.Conflict, match="nowhere not found"):
        request(image, wanted, admin)

    assert status(image) == before
    assert not TransferTarget.objects.exists()


def test_a_copy_is_refused_if_one_of_the_stores_has_the_data(
    prepare: Prepare, admin: Caller
) -> None:
    image, wanted = prepare("copy-image", "far", "images")

    with pytest.raises(errors.Invalid, match="already present at store 'images'"):
        request(image, wanted, admin)

    assert not TransferTarget.objects.exists()


def test_a_store_that_is_being_copied_to_is_refused(
    prepare: Prepare, admin: Caller
) -> None:
    image, wanted = prepare("copy-image", "far", "third")
    request(image, wanted, admin)

    with pytest.raises(errors.Conflict, match="being copied to store third"):
        lifecycle.request_image_copy(image.pk, "third", admin)


@pytest.mark.parametrize("method", METHODS)
def test_the_locations_of_an_image_have_a_limit(
    method: str, prepare: Prepare, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_LOCATION_QUOTA = 2 if method == "copy-image" else 1
    image, wanted = prepare(method, "far", "third")

    with pytest.raises(errors.OverLimit):
        request(image, wanted, admin)


def test_the_rows_of_an_import_go_with_its_image(
    prepare: Prepare, admin: Caller
) -> None:
    image, wanted = prepare("web-download", "far", "third")
    request(image, wanted, admin)
    assert current(image).transfers.exists()

    current(image).delete()

    assert not TransferTarget.objects.exists()
