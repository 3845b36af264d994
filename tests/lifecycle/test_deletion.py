from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images import errors, lifecycle, stores
from images.access import Caller
from images.models import Event, Image, ImageLocation, Member, Status, WorkerPause
from tests.rows import current

pytestmark = pytest.mark.django_db


def stored() -> list[str]:
    return [key for key, _ in stores.default().keys()]


def test_a_deleted_image_keeps_its_data_for_the_scrub_time(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="active")

    lifecycle.delete(image.pk, member, "no longer needed")

    assert current(image).status == Status.PENDING_DELETE
    assert len(stored()) == 1
    assert Event.objects.get().reason == "no longer needed"


def test_without_delayed_delete_the_data_goes_at_once(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_DELAYED_DELETE = False
    image = make_image(status="active")

    lifecycle.delete(image.pk, member)

    assert current(image).status == Status.DELETED
    assert ImageLocation.objects.get().status == "deleted"
    assert stored() == []


def test_an_owner_who_deletes_a_deactivated_image_leaves_no_data(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_DELAYED_DELETE = False
    image = make_image(status="deactivated")

    lifecycle.delete(image.pk, member)

    assert stored() == []


def test_a_protected_image_is_not_deleted_by_anybody(
    make_image: Any, admin: Caller
) -> None:
    image = make_image(status="active", protected=True)

    with pytest.raises(errors.Forbidden, match="protected"):
        lifecycle.delete(image.pk, admin)

    assert current(image).status == Status.ACTIVE


def test_a_store_that_cannot_be_reached_does_not_stop_a_delete(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_DELAYED_DELETE = False
    image = make_image(status="active")
    settings.IMAGECATALOG_STORES = "other=file:///tmp/none"

    lifecycle.delete(image.pk, member)

    assert current(image).status == Status.DELETED
    location = ImageLocation.objects.get()
    assert location.status == "pending_delete"
    assert location.delete_after > timezone.now()


def test_bytes_that_could_not_be_removed_are_removed_later(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_DELAYED_DELETE = False
    image = make_image(status="active")
    reachable = settings.IMAGECATALOG_STORES
    settings.IMAGECATALOG_STORES = "other=file:///tmp/none"
    lifecycle.delete(image.pk, member)

    settings.IMAGECATALOG_STORES = reachable
    ImageLocation.objects.update(delete_after=timezone.now())

    assert lifecycle.remove_due_objects() == 1
    assert stored() == []


@pytest.mark.parametrize("status", ["active", "deactivated"])
def test_a_restored_image_is_what_it_was(
    status: str, make_image: Any, member: Caller
) -> None:
    image = make_image(
        status=status, data=b"data", tags=["a"], properties={"os": "debian"}
    )
    Member.objects.create(image=image, member="friends")
    lifecycle.delete(image.pk, member)

    lifecycle.restore(image.pk, member)

    image = current(image)
    assert (image.status, image.tags) == (status, ["a"])
    assert image.properties == {"os": "debian"}
    assert image.deleted_at is None
    assert image.members.count() == 1
    assert b"".join(lifecycle.read(image.pk)) == b"data"


def test_a_location_that_was_removed_before_does_not_come_back(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="active")
    location = image.locations.get()
    second = image.locations.create(store=location.store, key="ab/second.0")
    lifecycle.remove_location(image.pk, second.pk, member)
    lifecycle.delete(image.pk, member)

    lifecycle.restore(image.pk, member)

    assert [row.pk for row in image.locations.filter(status="active")] == [location.pk]


def test_a_scrubbed_image_is_gone_with_its_bytes(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="active")
    lifecycle.delete(image.pk, member)

    lifecycle.scrub(image.pk, member)

    assert current(image).status == Status.DELETED
    assert stored() == []
    with pytest.raises(errors.Conflict):
        lifecycle.restore(image.pk, member)


def test_the_scrubber_takes_only_what_is_old_enough(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_SCRUB_TIME = 60
    old, young = make_image(status="active"), make_image(status="active")
    lifecycle.delete(old.pk, member)
    lifecycle.delete(young.pk, member)
    Image.objects.filter(pk=old.pk).update(
        deleted_at=timezone.now() - timedelta(seconds=61)
    )

    assert lifecycle.scrub_due() == [old.pk]

    assert current(old).status == Status.DELETED
    assert current(young).status == Status.PENDING_DELETE


def test_an_image_that_was_deleted_again_gets_its_whole_time_again(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="active")
    before = timezone.now()
    lifecycle.delete(image.pk, member)

    with pytest.raises(errors.Conflict, match="not over"):
        lifecycle.scrub(image.pk, member, until=before)

    assert current(image).status == Status.PENDING_DELETE


def test_a_trash_that_is_full_loses_its_oldest_images(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 250
    images = [make_image("active", b"x" * 100) for _ in range(3)]

    for image in images:
        lifecycle.delete(image.pk, member)

    assert [current(image).status for image in images] == [
        Status.DELETED,
        Status.PENDING_DELETE,
        Status.PENDING_DELETE,
    ]
    assert len(stored()) == 2
    assert Event.objects.get(verb="scrub").reason == "the trash is full"


def test_a_full_trash_loses_nothing_while_the_workers_are_paused(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 250
    images = [make_image("active", b"x" * 100) for _ in range(3)]
    WorkerPause.objects.create(reason="restored from a backup")

    for image in images:
        lifecycle.delete(image.pk, member)

    statuses = {current(image).status for image in images}
    assert statuses == {Status.PENDING_DELETE}
    assert len(stored()) == 3


def test_an_image_larger_than_the_trash_is_deleted_permanently_alone(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 250
    small, large = make_image("active", b"x"), make_image("active", b"x" * 251)

    lifecycle.delete(small.pk, member)
    lifecycle.delete(large.pk, member)

    assert current(small).status == Status.PENDING_DELETE
    assert current(large).status == Status.DELETED
    assert len(stored()) == 1


def test_a_trash_that_exceeds_a_new_quota_stays_as_large_as_it_is(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 250
    trashed = [make_image("pending_delete", b"x" * 100) for _ in range(5)]
    image = make_image("active", b"x" * 100)

    lifecycle.delete(image.pk, member)

    assert [current(row).status for row in trashed] == [
        Status.DELETED,
        *[Status.PENDING_DELETE] * 4,
    ]


@pytest.mark.parametrize("owner", ["another-project", None])
def test_the_trash_of_others_does_not_count(
    owner: str | None, make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 250
    theirs = make_image("pending_delete", b"x" * 200, owner=owner)
    image = make_image("active", b"x" * 200)

    lifecycle.delete(image.pk, member)

    assert current(theirs).status == Status.PENDING_DELETE
    assert current(image).status == Status.PENDING_DELETE


def test_an_image_whose_data_is_elsewhere_stays_in_a_full_trash(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 250
    elsewhere = make_image("pending_delete", b"x" * 200)
    elsewhere.locations.update(store=stores.HTTP.id)
    images = [make_image("active", b"x" * 200) for _ in range(2)]

    for image in images:
        lifecycle.delete(image.pk, member)

    assert current(elsewhere).status == Status.PENDING_DELETE
    assert [current(image).status for image in images] == [
        Status.DELETED,
        Status.PENDING_DELETE,
    ]


def test_a_removed_copy_that_does_not_fit_in_the_trash_goes_at_once(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 250
    trashed = make_image("pending_delete", b"x" * 200)
    image = make_image("active", b"x" * 200)

    lifecycle.remove_location(image.pk, image.locations.get().pk, member)
    lifecycle.remove_due()

    assert len(stored()) == 1
    assert current(trashed).status == Status.PENDING_DELETE


def test_a_dry_run_of_the_scrubber_changes_nothing(
    make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_SCRUB_TIME = 0
    image = make_image(status="active")
    lifecycle.delete(image.pk, member)

    assert lifecycle.scrub_due(dry_run=True) == [image.pk]

    assert current(image).status == Status.PENDING_DELETE


def test_an_image_without_data_is_deleted_for_good_at_once(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="queued")

    lifecycle.delete(image.pk, member)

    assert current(image).status == Status.DELETED


def test_an_image_of_no_bytes_can_be_restored_too(
    make_image: Any, member: Caller
) -> None:
    image = make_image("active", b"")
    image.locations.all().delete()
    lifecycle.delete(image.pk, member)
    assert Image.objects.get().status == Status.PENDING_DELETE

    lifecycle.restore(image.pk, member)

    assert Image.objects.get().status == Status.ACTIVE


def test_bytes_that_are_missing_already_count_as_removed(
    make_image: Any, member: Caller
) -> None:
    image = make_image(status="active")
    stores.default().delete(image.locations.get().key)
    lifecycle.delete(image.pk, member)

    lifecycle.scrub(image.pk, member)

    assert image.locations.get().status == "deleted"
