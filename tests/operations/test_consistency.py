"""The audit finds what is wrong, and nothing where all is right: on a folder and in an object store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from images import errors, lifecycle, stores
from images.access import Caller
from images.models import Event, Image, ImageLocation, Status, Transfer
from images.operations import consistency, repair
from images.operations.consistency import fixes
from images.operations.consistency.objects import needed_of
from images.stores.http import HttpStore
from images.stores.local import LocalStore
from tests.servers import ROOT

DATA = b"the bytes of an image " * 1000
LONG_AGO = timezone.now() - timedelta(days=30)
FORMATS = {"disk_format": "raw", "container_format": "bare", "owner": "project-a"}


@pytest.fixture
def create(db: None, member: Caller) -> Callable[..., Image]:
    """An image as the service makes it, with its history; ``data=None``: queued."""

    def create(data: bytes | None = DATA) -> Image:
        image = lifecycle.create(FORMATS, {}, [], member)
        if data is not None:
            lifecycle.upload(image.pk, [data], member)
        return image

    return create


@pytest.fixture(params=["folder", "objects"])
def store(request: pytest.FixtureRequest, settings: Any) -> stores.Store:
    """The default store, once of each kind."""
    if request.param == "objects":
        s3 = request.getfixturevalue("s3")
        settings.IMAGECATALOG_STORES = s3.store(prefix=f"audit-{uuid4().hex}")
    return stores.default()


def kinds(**options: Any) -> list[str]:
    return [finding.kind for finding in consistency.check(**options)]


def only(**options: Any) -> consistency.Finding:
    (finding,) = consistency.check(**options)
    return finding


def location_of(image: Image) -> ImageLocation:
    return image.locations.get()


def overwrite(store: stores.Store, key: str, data: bytes) -> None:
    store.delete(key)
    store.put(key, [data])


# Nothing is wrong


def test_an_empty_catalogue_has_nothing_wrong(db: None) -> None:
    assert kinds(read_bytes=True) == []


def test_whatever_the_service_does_leaves_nothing_wrong(
    create: Any, member: Caller, store: stores.Store
) -> None:
    create(None)
    create(b"")
    create()
    lifecycle.deactivate(create().pk, member)
    lifecycle.delete(create().pk, member)
    restored = create()
    lifecycle.delete(restored.pk, member)
    lifecycle.restore(restored.pk, member)
    scrubbed = create()
    lifecycle.delete(scrubbed.pk, member)
    lifecycle.scrub(scrubbed.pk, member)
    emptied = create()
    lifecycle.remove_location(emptied.pk, emptied.locations.get().pk, member)
    with pytest.raises(errors.Invalid):
        lifecycle.upload(create(None).pk, [DATA], member, expected_size=1)
    with pytest.raises(errors.Invalid):
        lifecycle.upload(
            create(None).pk,
            [DATA],
            member,
            expected_checksum="0" * 32,
            status_on_failure=Status.KILLED,
        )
    nothing = lifecycle.create(FORMATS, {}, [], member, size=0)
    lifecycle.deactivate(nothing.pk, member)
    lifecycle.delete(lifecycle.create(FORMATS, {}, [], member, size=0).pk, member)

    assert list(consistency.check(read_bytes=True)) == []


@pytest.mark.django_db(transaction=True)
def test_the_bytes_of_a_running_upload_are_no_orphan(
    create: Any, member: Caller, store: stores.Store
) -> None:
    image = create(None)
    streaming, go_on = Signal(), Signal()

    def blocks() -> Iterator[bytes]:
        yield DATA
        yield DATA
        streaming.set()
        go_on.wait(60)

    def upload() -> None:
        try:
            lifecycle.upload(image.pk, blocks(), member)
        finally:
            connection.close()

    thread = Thread(target=upload)
    thread.start()
    assert streaming.wait(60)
    try:
        held = list(store.keys())
        found = kinds(read_bytes=True)
    finally:
        go_on.set()
        thread.join()
    assert found == []
    assert len(held) == (store.type == "file")
    assert kinds(read_bytes=True) == []


def test_an_upload_that_ends_after_the_store_was_listed_is_no_finding(
    create: Any, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = create(None)
    truly = LocalStore.keys

    def keys(store: LocalStore) -> Iterator[tuple[str, int]]:
        yield from truly(store)
        lifecycle.upload(image.pk, [DATA], member)

    monkeypatch.setattr(LocalStore, "keys", keys)

    assert kinds() == []
    assert image.locations.exists()


def test_an_upload_that_was_listed_while_it_ran_is_no_finding(
    create: Any, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[tuple[str, int]] = []

    def blocks() -> Iterator[bytes]:
        yield DATA
        yield DATA
        listed.extend(stores.default().keys())

    lifecycle.upload(create(None).pk, blocks(), member)
    assert listed[0][0].endswith(".part")
    monkeypatch.setattr(LocalStore, "keys", lambda store: iter(listed))

    assert kinds() == []


# Rows


def test_a_value_that_is_no_status_is_found(create: Any) -> None:
    image = create(None)
    Image.objects.filter(pk=image.pk).update(status="lost")

    found = {finding.kind: finding for finding in consistency.check()}

    assert found["illegal-status"].image_id == image.pk
    assert "lost" in found["illegal-status"].message


@pytest.mark.parametrize("status", ["saving", "uploading", "importing"])
def test_a_transient_status_that_nobody_owns_is_stuck(
    status: str, make_image: Any
) -> None:
    image = make_image(status=status)
    Transfer.objects.all().delete()

    found = [it for it in consistency.check() if it.kind == "stuck"]

    assert [it.image_id for it in found] == [image.pk]


def test_a_transfer_without_a_heartbeat_is_stuck(make_image: Any) -> None:
    make_image(status="saving")
    assert "stuck" not in kinds()

    Transfer.objects.update(heartbeat_at=LONG_AGO)

    assert kinds().count("stuck") == 1


@pytest.mark.parametrize("status", ["active", "deactivated", "pending_delete"])
def test_an_image_whose_data_is_nowhere_is_found(status: str, make_image: Any) -> None:
    image = make_image(status=status)
    if status == "pending_delete":
        ImageLocation.objects.update(status="pending_delete")
    assert "no-location" not in kinds()

    location_of(image).delete()

    assert "no-location" in kinds()


def test_an_active_image_of_no_bytes_needs_no_location(make_image: Any) -> None:
    make_image(status="active", data=None, size=0)
    ImageLocation.objects.all().delete()

    assert "no-location" not in kinds()


@pytest.mark.parametrize(
    "status", ["queued", "saving", "killed", "pending_delete", "deleted"]
)
def test_an_active_location_of_an_image_without_data_is_stray(
    status: str, make_image: Any
) -> None:
    make_image(status=status, data=DATA)
    ImageLocation.objects.update(status="active")

    assert "stray-location" in kinds()


def test_a_withdrawn_location_that_nobody_would_ever_remove_is_stray(
    create: Any,
) -> None:
    create()
    ImageLocation.objects.update(status="pending_delete", delete_after=None)

    assert sorted(kinds()) == ["no-location", "stray-location"]


def test_a_location_that_should_have_gone_is_overdue(
    create: Any, member: Caller
) -> None:
    image = create()
    lifecycle.remove_location(image.pk, image.locations.get().pk, member)
    assert kinds() == []

    ImageLocation.objects.update(delete_after=LONG_AGO)

    assert only().kind == "overdue"


def test_a_location_that_would_not_go_many_times_is_overdue(
    create: Any, member: Caller
) -> None:
    image = create()
    lifecycle.remove_location(image.pk, image.locations.get().pk, member)

    ImageLocation.objects.update(delete_attempts=10)

    assert only().kind == "overdue"


def test_an_image_far_over_its_scrub_time_is_overdue(
    create: Any, member: Caller
) -> None:
    image = create()
    lifecycle.delete(image.pk, member)
    assert kinds() == []

    Image.objects.update(deleted_at=LONG_AGO)

    assert only().kind == "overdue"


# History


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_an_event_that_is_missing_breaks_the_history(
    number: int, create: Any, member: Caller
) -> None:
    image = create()
    lifecycle.deactivate(image.pk, member)
    assert Event.objects.count() == 4

    Event.objects.order_by("pk")[number].delete()

    assert (only().kind, only().image_id) == ("history", image.pk)


def test_an_image_without_any_event_has_a_broken_history(create: Any) -> None:
    create(None)
    Event.objects.all().delete()

    assert only().kind == "history"


def test_a_purged_image_needs_no_history(create: Any, member: Caller) -> None:
    image = create(None)
    lifecycle.delete(image.pk, member)
    Event.objects.all().delete()
    Image.objects.update(purged=True)

    assert kinds() == []


def test_a_step_that_is_no_edge_breaks_the_history(create: Any) -> None:
    image = create(None)
    Event.objects.create(
        image=image, verb="jump", from_status="queued", to_status="deactivated"
    )
    Image.objects.filter(pk=image.pk).update(status="deactivated", size=0)

    assert "no transition from queued to deactivated" in only().message


# Bytes


def test_bytes_that_are_gone_are_found(create: Any, store: stores.Store) -> None:
    create()
    image = create()
    store.delete(location_of(image).key)

    finding = only()

    assert (finding.kind, finding.image_id) == ("missing-bytes", image.pk)
    assert (finding.store, finding.key) == (store.id, location_of(image).key)


def test_bytes_that_a_restore_would_need_are_missed_too(
    create: Any, member: Caller, store: stores.Store
) -> None:
    image = create()
    lifecycle.delete(image.pk, member)
    store.delete(location_of(image).key)

    assert kinds() == ["missing-bytes"]


def test_bytes_on_their_way_out_are_not_missed(
    create: Any, member: Caller, store: stores.Store
) -> None:
    image = create()
    lifecycle.remove_location(image.pk, image.locations.get().pk, member)
    store.delete(location_of(image).key)

    assert kinds(read_bytes=True) == []


def test_truncated_bytes_are_found(create: Any, store: stores.Store) -> None:
    image = create()
    overwrite(store, location_of(image).key, DATA[:-1])

    assert kinds() == kinds(read_bytes=True) == ["wrong-size"]


def test_damaged_bytes_are_found_when_they_are_read(
    create: Any, store: stores.Store
) -> None:
    image = create()
    overwrite(store, location_of(image).key, DATA[:-1] + b"!")

    assert kinds() == []
    finding = only(read_bytes=True)
    assert finding.kind == "wrong-digest"
    assert "md5 and sha512" in finding.message


def test_an_object_that_belongs_to_nothing_is_an_orphan(
    create: Any, store: stores.Store
) -> None:
    image = create()
    key = f"{image.pk[:2]}/{image.pk}.{uuid4().hex}"
    store.put(key, [b"12345"])

    finding = only()

    assert (finding.kind, finding.key, finding.size) == ("orphan-bytes", key, 5)
    assert finding.image_id == image.pk


def test_an_object_of_another_catalogue_is_said_to_be_one(
    db: None, store: stores.Store
) -> None:
    store.put(f"ab/{uuid4()}.{uuid4().hex}", [b"12345"])

    assert "not of this catalogue" in only().message


def test_the_part_file_of_a_dead_writer_is_an_orphan(
    create: Any, data_dir: Path
) -> None:
    image = create()
    part = data_dir / "images" / f"{location_of(image).key[:-32]}{uuid4().hex}.part"
    part.write_bytes(b"123")

    assert (only().kind, only().size) == ("orphan-bytes", 3)


def test_the_part_file_of_an_attempt_that_is_not_cleaned_is_the_cleaners(
    make_image: Any, data_dir: Path
) -> None:
    make_image(status="saving")
    transfer = Transfer.objects.get()
    part = data_dir / "images" / f"{transfer.key}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"123")
    Transfer.objects.update(status="failed", cleaned=False)
    assert "orphan-bytes" not in kinds()

    Transfer.objects.update(cleaned=True)

    assert "orphan-bytes" in kinds()


def test_what_lies_in_a_store_that_got_another_name_is_no_orphan(
    create: Any, settings: Any, data_dir: Path
) -> None:
    create()
    settings.IMAGECATALOG_STORES = f"renamed=file://{data_dir}/images"

    finding = only()

    assert (finding.kind, finding.store) == ("store-unreachable", "local")


def test_a_store_that_does_not_answer_ends_nothing_but_its_own_check(
    create: Any, settings: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = create()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    gone = "gone=s3://bucket/x?endpoint=http://127.0.0.1:1"
    settings.IMAGECATALOG_STORES = f"{gone},{settings.IMAGECATALOG_STORES}"
    os.unlink(data_dir / "images" / location_of(image).key)

    assert kinds() == ["store-unreachable", "missing-bytes"]


def test_the_bytes_of_one_store_can_be_checked_alone(
    create: Any, settings: Any, data_dir: Path
) -> None:
    create()
    settings.IMAGECATALOG_STORES += f",other=file://{data_dir}/other"
    Event.objects.all().delete()
    stores.get("other").put(f"ab/{uuid4()}.{uuid4().hex}", [b"1"])

    assert kinds(store="other") == ["orphan-bytes"]
    assert kinds(store="local") == []
    with pytest.raises(errors.Invalid):
        kinds(store="third")


def test_web_addresses_are_asked_only_when_bytes_are_read(
    create: Any, data_dir: Path
) -> None:
    image = create()
    image.locations.create(store="http", key="http://127.0.0.1:1/image")

    assert kinds() == []
    assert kinds(read_bytes=True) == ["store-unreachable"]


def test_more_rows_than_fit_into_one_batch_are_all_looked_at(
    create: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images.operations.consistency.finding.BATCH", 2)
    monkeypatch.setattr("images.operations.consistency.store_listing.BATCH", 2)
    images = [create() for _ in range(5)]
    for image in images:
        stores.default().delete(location_of(image).key)
        stores.default().put(f"ab/{image.pk}.{uuid4().hex}", [b"1"])
    Event.objects.filter(verb="create").delete()

    found = kinds()

    assert {kind: found.count(kind) for kind in found} == {
        "missing-bytes": 5,
        "orphan-bytes": 5,
        "history": 5,
    }


@pytest.mark.parametrize("images", [1, 30])
def test_the_number_of_questions_does_not_grow_with_the_images(
    images: int, create: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(images):
        create(b"x")

    with django_assert_max_num_queries(16):
        assert kinds() == []


# Repairs


def test_an_image_that_lost_its_last_copy_takes_the_same_bytes_only(
    create: Any, member: Caller
) -> None:
    create()
    image = create()
    location = location_of(image)
    stores.default().delete(location.key)

    repair.remove_missing_location(location.pk, member, "the disk broke")

    assert Image.objects.get(pk=image.pk).status == Status.QUEUED
    assert Event.objects.filter(reason="the disk broke").get().to_status == "queued"
    with pytest.raises(errors.Conflict):
        lifecycle.upload(image.pk, [b"other bytes"], member)
    lifecycle.upload(image.pk, [DATA], member)
    lifecycle.remove_due_objects()
    assert kinds(read_bytes=True) == []


@pytest.mark.parametrize("status", ["active", "deactivated"])
def test_an_image_that_lost_one_of_its_copies_stays_as_it_is(
    status: str, make_image: Any, member: Caller
) -> None:
    image = make_image(status=status)
    lost = image.locations.create(store="local", key="ab/gone.1")

    repair.remove_missing_location(lost.pk, member)

    assert Image.objects.get(pk=image.pk).status == status
    assert ImageLocation.objects.get(pk=lost.pk).status == "pending_delete"
    assert Event.objects.get().verb == "lose"


def test_the_last_copy_of_a_deactivated_image_is_not_given_up(
    create: Any, member: Caller
) -> None:
    create()
    image = create()
    lifecycle.deactivate(image.pk, member)
    stores.default().delete(location_of(image).key)

    with pytest.raises(errors.Conflict, match="reactivate"):
        repair.remove_missing_location(location_of(image).pk, member)

    assert location_of(image).status == "active"


def test_a_copy_that_is_there_is_not_given_up(create: Any, member: Caller) -> None:
    image = create()

    with pytest.raises(errors.Conflict, match="has the bytes"):
        repair.remove_missing_location(location_of(image).pk, member)


def test_a_store_whose_folder_is_gone_is_away_and_its_images_are_not_lost(
    create: Any, data_dir: Path
) -> None:
    create()
    (data_dir / "images").rename(data_dir / "elsewhere")

    assert [found.kind for found in consistency.check()] == ["store-unreachable"]


def test_a_folder_with_nothing_in_it_costs_no_image_its_data(
    create: Any, member: Caller, settings: Any, data_dir: Path
) -> None:
    image = create()
    (data_dir / "not-mounted").mkdir()
    settings.IMAGECATALOG_STORES = f"local=file://{data_dir}/not-mounted"

    with pytest.raises(errors.StoreError, match="mounted"):
        repair.remove_missing_location(location_of(image).pk, member)

    repair.remove_missing_location(location_of(image).pk, member, empty_store=True)
    assert Image.objects.get(pk=image.pk).status == Status.QUEUED


def test_the_last_copy_of_data_without_digests_is_not_given_up(
    create: Any, member: Caller
) -> None:
    image = create()
    Image.objects.filter(pk=image.pk).update(checksum=None, os_hash_value=None)
    create()
    stores.default().delete(location_of(image).key)

    with pytest.raises(errors.Conflict, match="digest"):
        repair.remove_missing_location(location_of(image).pk, member)

    assert Image.objects.get(pk=image.pk).status == Status.ACTIVE


def test_a_web_address_without_its_bytes_is_given_up(
    create: Any, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def size(store: HttpStore, key: str) -> int:
        raise errors.DataMissing("The web server does not have the data.")

    monkeypatch.setattr(HttpStore, "size", size)
    lost = create().locations.create(store="http", key="http://example.org/image")

    repair.remove_missing_location(lost.pk, member)

    assert ImageLocation.objects.get(pk=lost.pk).status == "pending_delete"


def test_what_belongs_to_an_image_is_not_removed_as_an_orphan(create: Any) -> None:
    image = create()

    with pytest.raises(errors.Conflict):
        repair.remove_orphan("local", location_of(image).key, foreign=True)

    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_what_a_running_transfer_writes_is_not_removed_as_an_orphan(
    make_image: Any,
) -> None:
    make_image(status="saving")

    with pytest.raises(errors.Conflict):
        repair.remove_orphan("local", f"{Transfer.objects.get().key}.part")


def test_an_object_of_another_catalogue_is_removed_only_on_demand(db: None) -> None:
    key = f"ab/{uuid4()}.{uuid4().hex}"
    stores.default().put(key, [b"1"])

    with pytest.raises(errors.Conflict, match="restored database"):
        repair.remove_orphan("local", key)
    repair.remove_orphan("local", key, foreign=True)

    assert list(stores.default().keys()) == []


def test_an_image_with_a_running_transfer_is_not_released(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="saving")

    with pytest.raises(errors.Conflict):
        repair.unstick(image.pk, member)


@pytest.mark.sqlite
@pytest.mark.django_db
def test_copies_are_found_by_their_keys_and_not_through_all_images() -> None:
    plan = needed_of([1, 2, 3]).explain()

    assert "images_image USING INDEX sqlite_autoindex_images_image_1 (id=?)" in plan
    assert "(status=?)" not in plan


def test_the_alert_about_damaged_copies_gives_the_advice_of_the_commands() -> None:
    rules = (ROOT / "deploy" / "monitoring" / "rules.yml").read_text()

    assert fixes.DAMAGED in rules
