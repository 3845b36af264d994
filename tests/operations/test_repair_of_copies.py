"""Repair of a damaged copy from a copy of the image in another store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from images import errors, lifecycle, stores
from images.access import Caller
from images.models import Event, Image, LocationStatus, Transfer
from images.operations.scheduled_verification import DAMAGED_EVERY, verify_due
from tests.copies import work
from tests.locations import overwrite

pytestmark = pytest.mark.django_db

DATA = b"the bytes of an image"


@pytest.fixture(autouse=True)
def repairing(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES = f"a=file://{tmp_path}/a,b=file://{tmp_path}/b"
    settings.IMAGECATALOG_REPAIR = True
    settings.IMAGECATALOG_VERIFY_RATE = 0


@pytest.fixture
def image(make_image: Any) -> Image:
    """An image in two stores, whose verification is due; in store ``a`` a byte has changed."""
    image: Image = make_image("active", data=DATA)
    location = image.locations.get()
    stores.get("b").put(location.key, [DATA])
    image.locations.create(store="b", key=location.key)
    image.locations.update(created_at=timezone.now() - 40 * DAMAGED_EVERY)
    flip(image)
    return image


def flip(image: Image, store_id: str = "a") -> None:
    overwrite(image.locations.get(store=store_id), b"The" + DATA[3:])


def copies(image: Image) -> dict[str, list[tuple[str, bool]]]:
    """Status, and whether it is damaged, of each copy, by store."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for row in image.locations.order_by("pk"):
        found.setdefault(row.store, []).append((row.status, row.damage != ""))
    return found


def test_a_damaged_copy_is_replaced_and_goes_to_the_trash(image: Image) -> None:
    bad = image.locations.get(store="a")

    verify_due()
    work()

    assert copies(image) == {
        "a": [(LocationStatus.PENDING_DELETE, True), (LocationStatus.ACTIVE, False)],
        "b": [(LocationStatus.ACTIVE, False)],
    }
    new = image.locations.get(store="a", status=LocationStatus.ACTIVE)
    assert b"".join(stores.get("a").open(new.key)) == DATA
    bad.refresh_from_db()
    assert new.key != bad.key
    assert bad.delete_after is not None
    assert bad.delete_after > timezone.now()
    event = Event.objects.filter(image=image).latest("pk")
    assert (event.verb, event.detail["replaced"]) == ("copy_image", [bad.pk])


def test_without_the_setting_nothing_is_copied(image: Image, settings: Any) -> None:
    settings.IMAGECATALOG_REPAIR = False

    verify_due()

    assert not Transfer.objects.exists()
    assert image.locations.get(store="a").damage


def test_without_a_whole_copy_nothing_is_copied(image: Image) -> None:
    flip(image, "b")
    image.locations.filter(store="b").update(damage="wrong-digest: md5 differs")

    verify_due()

    assert not Transfer.objects.exists()
    image.refresh_from_db()
    assert image.status == "active"


def test_a_full_quota_does_not_prevent_a_repair(image: Image, settings: Any) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 2 * len(DATA)

    verify_due()
    work()

    assert copies(image)["a"][-1] == (LocationStatus.ACTIVE, False)


def test_a_copy_that_was_put_right_meanwhile_is_not_replaced(image: Image) -> None:
    verify_due()
    image.locations.update(damage="")
    work()

    assert copies(image)["a"] == [(LocationStatus.ACTIVE, False)]


def test_a_damaged_copy_can_be_replaced_by_hand(
    image: Image, settings: Any, admin: Caller
) -> None:
    settings.IMAGECATALOG_REPAIR = False
    verify_due()

    lifecycle.request_image_copy(image.pk, "a", admin)
    work()

    assert copies(image)["a"][-1] == (LocationStatus.ACTIVE, False)


def test_the_only_copy_without_damage_is_not_removed_from_its_store(
    image: Image, admin: Caller
) -> None:
    image.locations.filter(store="a").update(damage="wrong-digest: md5 differs")

    with pytest.raises(errors.Forbidden, match="not damaged"):
        lifecycle.remove_from_store(image.pk, "b", admin)
    lifecycle.remove_from_store(image.pk, "a", admin)

    assert copies(image)["b"] == [(LocationStatus.ACTIVE, False)]


def test_the_only_copy_without_damage_is_not_removed_by_its_id(
    image: Image, admin: Caller
) -> None:
    good, bad = image.locations.get(store="b"), image.locations.get(store="a")
    image.locations.filter(pk=bad.pk).update(damage="wrong-digest: md5 differs")

    with pytest.raises(errors.Forbidden, match="not damaged"):
        lifecycle.remove_location(image.pk, good.pk, admin)
    lifecycle.remove_location(image.pk, bad.pk, admin)

    assert copies(image)["b"] == [(LocationStatus.ACTIVE, False)]


def test_the_only_copy_without_damage_is_not_removed_by_its_index(
    image: Image, client_of: Any, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_SHOW_LOCATIONS = "all"
    image.locations.filter(store="a").update(damage="wrong-digest: md5 differs")

    response = client_of(admin).patch(
        f"/v2/images/{image.pk}",
        b'[{"op": "remove", "path": "/locations/1"}]',
        "application/openstack-images-v2.1-json-patch",
    )

    assert (response.status_code, b"not damaged" in response.content) == (403, True)
    assert copies(image)["b"] == [(LocationStatus.ACTIVE, False)]
