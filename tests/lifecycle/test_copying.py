"""Copies of an image's data in further stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from images import errors, lifecycle, stores
from images.access import Caller
from images.imports import queue
from images.models import Event, Image, ImageLocation, Transfer, ownerless
from images.operations import consistency
from images.transfers import limits, reaper, usage

DATA = b"the bytes of an image"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_stores(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES = (
        f"local=file://{tmp_path}/images,far=file://{tmp_path}/far"
    )


@pytest.fixture
def image(db: None, member: Caller) -> Image:
    fields = {"disk_format": "raw", "container_format": "bare"}
    made = lifecycle.create({**fields, "owner": member.project}, {}, [], member)
    lifecycle.upload(made.pk, [DATA], member)
    return made


@pytest.fixture
def request_one(image: Image, admin: Caller) -> Callable[[], Transfer]:
    def request() -> Transfer:
        lifecycle.request_image_copy(image.pk, "far", admin)
        return Transfer.objects.get(store="far", status="waiting")

    return request


def held(image: Image) -> list[str]:
    """The stores that have the data of an image."""
    active = ImageLocation.objects.filter(image=image, status="active")
    return [location.store for location in active.order_by("pk")]


def objects(store_id: str) -> list[str]:
    return [key for key, _ in stores.get(store_id).keys()]


def problems() -> list[str]:
    return [finding.kind for finding in consistency.check()]


def status(image: Image) -> str:
    return Image.objects.get(pk=image.pk).status


def test_an_image_is_copied_to_a_further_store(image: Image, request_one: Any) -> None:
    transfer = request_one()

    assert queue.carry_out(transfer.pk)

    location = ImageLocation.objects.get(store="far")
    assert b"".join(stores.get("far").open(location.key)) == DATA
    assert (held(image), status(image)) == (["local", "far"], "active")
    assert Transfer.objects.get(store="far").status == "done"
    events = Event.objects.order_by("pk").values_list("verb", flat=True)
    assert list(events)[-2:] == ["request_copy_image", "copy_image"]
    assert problems() == []


@pytest.mark.parametrize(
    "status", ["queued", "saving", "deactivated", "importing", "killed"]
)
def test_only_an_active_image_is_copied(
    status: str, make_image: Any, admin: Caller
) -> None:
    image = make_image(status)

    with pytest.raises(errors.Conflict, match=status):
        lifecycle.request_image_copy(image.pk, "far", admin)


def test_a_store_that_has_the_data_is_refused(image: Image, admin: Caller) -> None:
    with pytest.raises(errors.Invalid, match="already present at store 'local'"):
        lifecycle.request_image_copy(image.pk, "local", admin)


@pytest.mark.parametrize(
    ("store", "error"), [("nope", errors.Invalid), ("http", errors.StoreReadOnly)]
)
def test_a_store_that_cannot_be_written_is_refused(
    store: str, error: Any, image: Image, admin: Caller
) -> None:
    with pytest.raises(error):
        lifecycle.request_image_copy(image.pk, store, admin)


def test_the_same_copy_is_not_requested_twice(request_one: Any) -> None:
    request_one()

    with pytest.raises(errors.Conflict, match="already"):
        request_one()


def test_another_project_s_image_is_not_copied(image: Image, stranger: Caller) -> None:
    with pytest.raises(errors.Forbidden):
        lifecycle.request_image_copy(image.pk, "far", stranger)


def test_too_many_locations_are_refused(request_one: Any, settings: Any) -> None:
    settings.IMAGECATALOG_IMAGE_LOCATION_QUOTA = 1

    with pytest.raises(errors.OverLimit):
        request_one()


def test_each_copy_counts_against_the_quota(
    image: Image, request_one: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 2 * len(DATA) - 1
    with pytest.raises(errors.OverLimit):
        request_one()

    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 2 * len(DATA)
    queue.carry_out(request_one().pk)

    assert held(image) == ["local", "far"]


def test_requested_copies_of_one_image_add_up(
    image: Image, admin: Caller, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_STORES += f",third=file://{tmp_path}/third"
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 3 * len(DATA) - 1
    lifecycle.request_image_copy(image.pk, "far", admin)

    with pytest.raises(errors.OverLimit):
        lifecycle.request_image_copy(image.pk, "third", admin)


def test_a_copy_under_way_counts_as_uploading(
    image: Image, request_one: Any, make_image: Any, admin: Caller
) -> None:
    limits.set_own("project-a", {"image_count_uploading": 1})
    request_one()

    with pytest.raises(errors.OverLimit, match="on its way"):
        lifecycle.upload(make_image().pk, [b"x"], admin)


def test_a_copy_under_way_counts_as_staged(
    image: Image, request_one: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STAGING_QUOTA = len(DATA) - 1
    with pytest.raises(errors.QuotaExceeded, match="it uses 0, and at least 21 more"):
        request_one()

    settings.IMAGECATALOG_USER_STAGING_QUOTA = len(DATA)
    copy = request_one()
    assert usage.of("project-a")["image_stage_total"] == len(DATA)
    queue.carry_out(copy.pk)
    assert usage.of("project-a")["image_stage_total"] == 0


def test_data_that_is_not_the_image_s_is_not_copied(
    image: Image, request_one: Any
) -> None:
    location = image.locations.get()
    stores.get("local").delete(location.key)
    stores.get("local").put(location.key, [DATA[::-1]])

    with pytest.raises(errors.Conflict, match="other data"):
        queue.carry_out(request_one().pk)

    assert (held(image), status(image)) == (["local"], "active")
    assert objects("far") == []


def test_the_first_copy_that_can_be_opened_is_read(
    image: Image, request_one: Any
) -> None:
    image.locations.create(store="gone", key="ab/elsewhere")

    queue.carry_out(request_one().pk)

    assert held(image) == ["local", "gone", "far"]


def test_a_failed_copy_leaves_the_image_as_it_was_and_says_why(
    image: Image, request_one: Any
) -> None:
    stores.get("local").delete(image.locations.get().key)

    with pytest.raises(errors.DataMissing):
        queue.carry_out(request_one().pk)

    failed = Transfer.objects.get(store="far")
    assert (failed.status, failed.error_code) == ("failed", "data-missing")
    assert (held(image), status(image), failed.cleaned) == (["local"], "active", True)


def changed_during(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]
) -> None:
    """Make a change when the first block is read."""
    read = lifecycle.read

    def reading(image_id: str) -> Iterator[bytes]:
        for block in read(image_id):
            change()
            yield block

    monkeypatch.setattr(lifecycle, "read", reading)


def test_an_image_that_is_deleted_meanwhile_gets_no_copy(
    image: Image, request_one: Any, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = request_one()
    changed_during(monkeypatch, lambda: lifecycle.delete(image.pk, admin))

    with pytest.raises(errors.Gone):
        queue.carry_out(transfer.pk)

    assert (held(image), objects("far")) == ([], [])
    assert problems() == []


def test_an_image_that_is_uploaded_again_meanwhile_keeps_its_status(
    image: Image, request_one: Any, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = request_one()
    location = image.locations.get()

    def begin_another_upload() -> None:
        lifecycle.remove_location(image.pk, location.pk, admin)
        Image.objects.filter(pk=image.pk).update(status="saving")

    changed_during(monkeypatch, begin_another_upload)

    with pytest.raises(errors.Gone):
        queue.carry_out(transfer.pk)

    assert (status(image), objects("far")) == ("saving", [])


def test_an_image_that_is_deleted_before_is_not_copied(
    image: Image, request_one: Any, admin: Caller
) -> None:
    transfer = request_one()
    lifecycle.delete(image.pk, admin)

    assert not queue.carry_out(transfer.pk)
    assert Transfer.objects.get(store="far").status == "failed"


def test_a_deactivated_image_is_still_copied(
    image: Image, request_one: Any, admin: Caller
) -> None:
    transfer = request_one()
    lifecycle.deactivate(image.pk, admin)

    queue.carry_out(transfer.pk)

    assert (held(image), status(image)) == (["local", "far"], "deactivated")


def test_a_copy_by_a_dead_worker_is_ended(image: Image, request_one: Any) -> None:
    request_one()
    long_ago = timezone.now() - timedelta(days=1)
    Transfer.objects.filter(store="far").update(
        status="running", worker="elsewhere:1", heartbeat_at=long_ago
    )

    reaper.reap()

    assert Transfer.objects.get(store="far").error_code == "lease-expired"
    assert (held(image), status(image)) == (["local"], "active")


def test_a_copy_waits_again_when_its_worker_is_stopped(
    image: Image, request_one: Any
) -> None:
    transfer = request_one()

    with pytest.raises(errors.ServerStopping):
        queue.carry_out(transfer.pk, lambda: True)

    waiting = Transfer.objects.get(status="waiting")
    assert queue.carry_out(waiting.pk)
    assert held(image) == ["local", "far"]


def test_an_image_that_only_a_copy_runs_for_is_stuck(
    image: Image, request_one: Any
) -> None:
    transfer = request_one()
    Transfer.objects.filter(pk=transfer.pk).update(status="running")
    Image.objects.filter(pk=image.pk).update(status="saving")

    assert Image.objects.filter(ownerless()).exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_makes_the_copy(image: Image, request_one: Any) -> None:
    transfer = request_one()

    def work(_: int) -> bool:
        try:
            return queue.carry_out(transfer.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(work, range(4)))

    assert done.count(True) == 1
    assert (held(image), len(objects("far"))) == (["local", "far"], 1)
