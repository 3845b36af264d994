"""Imports: queued by a request, carried out by a worker, and refused or failed without a trace."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.utils import timezone

from images import errors, imports, lifecycle, stores, uploads
from images.access import Caller
from images.attributes import Changes
from images.imports import ImportRequest, queue
from images.models import (
    Event,
    Image,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
    UploadChunk,
)
from images.operations import consistency, manual_transitions
from images.stores.local import LocalStore
from images.transfers import leases, reaper
from images.uploads import chunk_writing
from tests.copies import waiting_copies, work
from tests.rows import current, status
from tests.web import serving_files

DATA = os.urandom(1000)
RAW = {"disk_format": "raw", "container_format": "bare"}
DIRECT = ImportRequest("glance-direct")
Make = Callable[..., Image]


@pytest.fixture
def make(db: None, member: Caller) -> Make:
    """``make(disk_format="qcow2")``: a queued image of the member's project."""

    def make(**fields: Any) -> Image:
        return lifecycle.create(
            RAW | {"owner": member.project} | fields, {}, [], member
        )

    return make


@pytest.fixture
def staged(make: Make, member: Caller) -> Image:
    image = make()
    uploads.stage(image.pk, [DATA], member)
    return current(image)


@pytest.fixture
def staged_in_parts(
    make: Make, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> Image:
    """An image with staged data in two chunks, which the import writes into one object."""
    monkeypatch.setattr(chunk_writing, "CHUNK", 500)
    image = make()
    uploads.stage(image.pk, [DATA[:500], DATA[500:]], member)
    return current(image)


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of a web server with DATA under ``/disk.raw``."""
    files = {"disk.raw": DATA}
    with serving_files(tmp_path / "web", settings, **files) as url:
        yield url


def the_task(image: Image) -> Transfer:
    return Transfer.objects.exclude(task_id=None).get(image=image)


def assert_consistent() -> None:
    assert list(consistency.check(read_bytes=True)) == []


def assert_nothing_is_left(image: Image) -> None:
    assert (status(image), current(image).size) == (Status.QUEUED, None)
    assert list(stores.default().keys()) == []
    assert not UploadChunk.objects.exists()
    assert_consistent()


# Staged data


def test_staged_data_becomes_the_data_of_the_image(
    staged: Image, member: Caller
) -> None:
    imports.request_import(staged.pk, DIRECT, member)
    assert status(staged) == Status.IMPORTING
    assert_consistent()

    work()

    image = current(staged)
    assert (image.status, image.size) == (Status.ACTIVE, len(DATA))
    assert image.checksum
    assert b"".join(lifecycle.read(image.pk)) == DATA
    assert not UploadChunk.objects.exists()
    assert len(list(stores.default().keys())) == 1
    assert the_task(image).status == TransferStatus.DONE
    verbs = Event.objects.filter(image=image).values_list("verb", "to_status")
    assert list(verbs) == [
        ("create", "queued"),
        ("stage", "uploading"),
        ("import", "importing"),
        ("receive", "active"),
    ]
    assert_consistent()


def test_no_bytes_can_be_imported(make: Make, member: Caller) -> None:
    image = make()
    uploads.stage(image.pk, [], member)

    imports.request_import(image.pk, DIRECT, member)
    work()

    assert (status(image), current(image).size) == (Status.ACTIVE, 0)


def test_the_data_goes_to_the_named_store(
    staged: Image, member: Caller, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_STORES += f",other=file://{tmp_path}/other"

    wanted = ImportRequest("glance-direct", store_ids=("other",))
    imports.request_import(staged.pk, wanted, member)
    work()

    assert list(staged.locations.values_list("store", flat=True)) == ["other"]
    assert list(stores.default().keys()) == []


def test_refused_data_queues_the_image_again(make: Make, member: Caller) -> None:
    image = make(disk_format="qcow2")
    uploads.stage(image.pk, [DATA], member)

    imports.request_import(image.pk, DIRECT, member)
    work()

    task = the_task(image)
    assert task.status == TransferStatus.FAILED
    assert "qcow2" in task.error
    assert_nothing_is_left(image)


def test_data_with_another_digest_than_its_sender_stated_is_refused(
    make: Make, member: Caller
) -> None:
    image = make()
    uploads.stage(image.pk, [DATA], member, expected_digests={"sha256": "0" * 64})

    imports.request_import(image.pk, DIRECT, member)
    work()

    assert "sha-256" in the_task(image).error
    assert_nothing_is_left(image)


def test_data_that_a_store_does_not_take_stays_staged(
    staged_in_parts: Image, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: LocalStore, key: str, *data: Any) -> None:
        raise errors.StoreFull("The store is full.")

    imports.request_import(staged_in_parts.pk, DIRECT, member)
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "put", full)
        work()

    assert (status(staged_in_parts), current(staged_in_parts).size) == (
        Status.UPLOADING,
        len(DATA),
    )
    assert the_task(staged_in_parts).error == "The store is full."
    assert_consistent()

    imports.request_import(staged_in_parts.pk, DIRECT, member)
    work()
    assert b"".join(lifecycle.read(staged_in_parts.pk)) == DATA


def test_data_that_is_lost_queues_the_image_again(
    staged: Image, member: Caller
) -> None:
    imports.request_import(staged.pk, DIRECT, member)
    stores.default().delete(UploadChunk.objects.get().key)

    work()

    assert_nothing_is_left(staged)


def test_a_project_at_its_quota_can_import_what_it_has_staged(
    make: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = len(DATA)
    image = make()
    uploads.stage(image.pk, [DATA], member)

    imports.request_import(image.pk, DIRECT, member)
    work()

    assert status(image) == Status.ACTIVE


def test_a_worker_that_is_stopped_leaves_the_task_to_the_next(
    staged: Image, member: Caller
) -> None:
    task = imports.request_import(staged.pk, DIRECT, member)
    with pytest.raises(errors.ServerStopping):
        queue.carry_out(waiting_copies()[0], lambda: True)

    assert status(staged) == Status.IMPORTING
    assert the_task(staged).task_id == task.id
    assert_consistent()
    work()
    assert status(staged) == Status.ACTIVE
    assert the_task(staged).task_id == task.id


def test_the_data_of_a_worker_that_died_stays_staged_until_it_expires(
    staged: Image, member: Caller, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.IMAGECATALOG_UPLOAD_EXPIRY = 100
    imports.request_import(staged.pk, DIRECT, member)
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "receive_staged", lambda *_, **__: None)
        work()
    dead = Transfer.objects.filter(kind=TransferKind.IMPORT)
    dead.update(heartbeat_at="2000-01-01T00:00:00Z", worker="elsewhere:1")

    assert len(reaper.reap()) == 1

    assert status(staged) == Status.UPLOADING
    assert_consistent()
    expiry = timedelta(seconds=settings.IMAGECATALOG_UPLOAD_EXPIRY)
    kept = Transfer.objects.get(image=staged, kind=TransferKind.STAGE)
    assert kept.deadline
    assert kept.deadline <= timezone.now() + expiry
    imports.request_import(staged.pk, DIRECT, member)
    work()
    assert status(staged) == Status.ACTIVE


def test_cancelling_an_import_gives_its_data_up(staged: Image, member: Caller) -> None:
    imports.request_import(staged.pk, DIRECT, member)

    manual_transitions.fail(staged.pk, member)

    work()
    assert_nothing_is_left(staged)


@pytest.mark.parametrize("taken", [it for it in Status if it != Status.UPLOADING])
def test_only_staged_data_can_be_imported(
    make_image: Any, admin: Caller, taken: str
) -> None:
    image = make_image(taken)

    with pytest.raises((errors.Conflict, errors.NotFound)):
        imports.request_import(image.pk, DIRECT, admin)

    assert status(image) == taken


def test_a_resumable_upload_is_not_staged_data(make: Make, member: Caller) -> None:
    image = make()
    uploads.begin(image.pk, len(DATA), member)

    with pytest.raises(errors.Conflict, match="not staged yet"):
        imports.request_import(image.pk, DIRECT, member)


def test_one_import_at_a_time(staged: Image, member: Caller) -> None:
    imports.request_import(staged.pk, DIRECT, member)

    with pytest.raises(errors.Conflict, match="Image has active task"):
        imports.request_import(staged.pk, DIRECT, member)

    assert len(waiting_copies()) == 1


def test_the_formats_stay_while_an_import_is_open(
    staged: Image, member: Caller
) -> None:
    imports.request_import(staged.pk, DIRECT, member)

    with pytest.raises(errors.Forbidden):
        lifecycle.update(staged.pk, Changes({"disk_format": "qcow2"}), member)

    work()
    assert status(staged) == Status.ACTIVE


def test_an_image_deleted_before_the_import_stays_deleted(
    staged: Image, member: Caller
) -> None:
    imports.request_import(staged.pk, DIRECT, member)
    waiting = waiting_copies()

    lifecycle.delete(staged.pk, member)

    assert not queue.carry_out(waiting[0])
    reaper.reap()
    assert the_task(staged).status == TransferStatus.FAILED
    assert list(stores.default().keys()) == []
    assert_consistent()


def test_an_image_deleted_during_the_import_keeps_nothing(
    staged_in_parts: Image, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = LocalStore.put

    def deleting(self: LocalStore, key: str, *data: Any) -> None:
        put(self, key, *data)
        lifecycle.delete(staged_in_parts.pk, member)

    imports.request_import(staged_in_parts.pk, DIRECT, member)
    monkeypatch.setattr(LocalStore, "put", deleting)
    work()
    reaper.reap()

    assert status(staged_in_parts) == Status.DELETED
    assert list(stores.default().keys()) == []
    assert_consistent()


# A URL


def test_a_url_becomes_the_data_of_the_image(
    make: Make, member: Caller, web: str
) -> None:
    image = make()

    wanted = ImportRequest("web-download", f"{web}/disk.raw")
    imports.request_import(image.pk, wanted, member)
    assert (status(image), current(image).size) == (Status.IMPORTING, len(DATA))
    assert_consistent()
    work()

    assert status(image) == Status.ACTIVE
    assert b"".join(lifecycle.read(image.pk)) == DATA
    assert_consistent()


def test_a_failing_web_server_queues_the_image_again(
    make: Make, member: Caller, web: str
) -> None:
    image = make()

    imports.request_import(
        image.pk, ImportRequest("web-download", f"{web}/absent"), member
    )
    work()

    assert the_task(image).status == TransferStatus.FAILED
    assert_nothing_is_left(image)


def test_refused_data_of_a_url_queues_the_image_again(
    make: Make, member: Caller, web: str
) -> None:
    image = make(disk_format="qcow2")

    imports.request_import(
        image.pk, ImportRequest("web-download", f"{web}/disk.raw"), member
    )
    work()

    assert_nothing_is_left(image)


def test_a_stopped_worker_fetches_a_url_again(
    make: Make, member: Caller, web: str
) -> None:
    image = make()
    wanted = ImportRequest("web-download", f"{web}/disk.raw")
    task = imports.request_import(image.pk, wanted, member)

    with pytest.raises(errors.ServerStopping):
        queue.carry_out(waiting_copies()[0], lambda: True)
    assert status(image) == Status.IMPORTING
    work()

    assert status(image) == Status.ACTIVE
    assert the_task(image).task_id == task.id


def unreachable(*args: Any, **options: Any) -> None:
    raise OperationalError("the connection is lost")


def work_in_vain(stopping: Callable[[], bool] = lambda: False) -> None:
    with pytest.raises(OperationalError):
        queue.carry_out(waiting_copies()[0], stopping)


def test_an_import_during_an_outage_of_the_database_is_repeated(
    make: Make, member: Caller, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make()
    wanted = ImportRequest("web-download", f"{web}/disk.raw")
    task = imports.request_import(image.pk, wanted, member)

    with monkeypatch.context() as patch:
        patch.setattr(leases, "finish", unreachable)
        work_in_vain()
    assert status(image) == Status.IMPORTING
    work()

    assert status(image) == Status.ACTIVE
    assert the_task(image).task_id == task.id
    assert_consistent()


def test_staged_data_is_imported_again_after_an_outage_of_the_database(
    staged: Image, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports.request_import(staged.pk, DIRECT, member)

    with monkeypatch.context() as patch:
        patch.setattr(leases, "finish", unreachable)
        work_in_vain()
    work()

    assert status(staged) == Status.ACTIVE
    assert_consistent()


def test_an_import_is_queued_again_once_an_outage_of_the_database_has_ended(
    make: Make, member: Caller, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make()
    wanted = ImportRequest("web-download", f"{web}/disk.raw")
    imports.request_import(image.pk, wanted, member)
    abort, outage = leases.abort, iter([unreachable] * 3)

    with monkeypatch.context() as patch:
        patch.setattr(leases, "finish", unreachable)
        patch.setattr(leases, "abort", lambda *args: next(outage, abort)(*args))
        patch.setattr(queue, "RETRY_SECONDS", 0.01)
        work_in_vain()
    assert not next(outage, None)
    work()

    assert status(image) == Status.ACTIVE


def test_a_stopped_worker_does_not_wait_for_the_database(
    make: Make, member: Caller, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make()
    wanted = ImportRequest("web-download", f"{web}/disk.raw")
    imports.request_import(image.pk, wanted, member)
    monkeypatch.setattr(leases, "finish", unreachable)
    monkeypatch.setattr(leases, "abort", unreachable)
    monkeypatch.setattr(queue, "RETRY_SECONDS", 0.01)
    is_stopping = iter([False] * 9)

    work_in_vain(lambda: next(is_stopping, True))

    assert status(image) == Status.IMPORTING


def test_a_url_that_the_filter_refuses_changes_nothing(
    make: Make, member: Caller
) -> None:
    image = make()
    wanted = ImportRequest("web-download", "http://169.254.169.254/latest")

    with pytest.raises(errors.Invalid, match="does not pass filtering"):
        imports.request_import(image.pk, wanted, member)

    assert status(image) == Status.QUEUED
    assert not Transfer.objects.exists()


def test_more_than_the_cap_is_refused(
    make: Make, member: Caller, web: str, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = 10
    image = make()
    wanted = ImportRequest("web-download", f"{web}/disk.raw")

    with pytest.raises(errors.OverLimit):
        imports.request_import(image.pk, wanted, member)

    assert_nothing_is_left(image)


def test_a_web_download_of_another_project_does_not_wait_for_those_of_one(
    make: Make, make_image: Any, member: Caller, admin: Caller, web: str
) -> None:
    wanted = ImportRequest("web-download", f"{web}/disk.raw")
    for image in (make(), make()):
        imports.request_import(image.pk, wanted, member)
    foreign = make_image(owner="another-project")
    imports.request_import(foreign.pk, wanted, admin)

    found = queue.next_waiting([], [str(member.project)])

    assert found
    assert Transfer.objects.get(pk=found.id).image_id == foreign.pk


def test_only_an_image_without_a_waiting_web_download_is_imported(
    make: Make, member: Caller, web: str
) -> None:
    image = make()
    source = lifecycle.Source(f"{web}/disk.raw")
    lifecycle.request_fetch(image.pk, source, Changes(), member)

    with pytest.raises(errors.Conflict, match="Image has active task"):
        imports.request_import(
            image.pk, ImportRequest("web-download", f"{web}/disk.raw"), member
        )


# What a request lacks


@pytest.mark.parametrize("unset", RAW)
def test_both_formats_must_be_set(make: Make, member: Caller, unset: str) -> None:
    image = make(**{unset: None})
    uploads.stage(image.pk, [DATA], member)

    with pytest.raises(errors.Conflict, match=f"'{unset}' needs to be set"):
        imports.request_import(image.pk, DIRECT, member)

    assert status(image) == Status.UPLOADING


def test_a_store_that_does_not_exist_is_refused(staged: Image, member: Caller) -> None:
    with pytest.raises(errors.Conflict, match="nowhere not found"):
        imports.request_import(
            staged.pk, ImportRequest("glance-direct", store_ids=("nowhere",)), member
        )

    assert status(staged) == Status.UPLOADING


@pytest.mark.parametrize("name", ["no-such-method", "glance-download", ""])
def test_an_unknown_method_is_refused(staged: Image, member: Caller, name: str) -> None:
    with pytest.raises(errors.Invalid, match=f"Unknown import method name '{name}'"):
        imports.request_import(staged.pk, ImportRequest(name), member)


def test_a_method_that_is_switched_off_is_unknown(
    make: Make, member: Caller, web: str, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_METHODS = ("glance-direct",)
    wanted = ImportRequest("web-download", f"{web}/disk.raw")

    with pytest.raises(errors.Invalid, match="Unknown import method name"):
        imports.request_import(make().pk, wanted, member)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a?token=secret#part", "https://example.org/a?***"),
        ("https://user:secret@example.org/a", "https://example.org/a"),
        ("https://[example.org", "***"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert imports.masked(url) == shown


def test_a_task_has_an_id_of_its_own(staged: Image, member: Caller) -> None:
    task = imports.request_import(staged.pk, DIRECT, member)

    assert isinstance(task.id, UUID)
    found = the_task(staged)
    assert (found.task_user, found.task_project) == (member.user, member.project)
