"""``/catalog/v1/images``: the digests of an image, and the images with a digest."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from images import lifecycle
from images.access import Caller

DATA = b"the bytes of an image"
DIGESTS = {
    name: hashlib.new(name, DATA).hexdigest() for name in ("md5", "sha256", "sha512")
}
IMAGES = "/catalog/v1/images"
SEARCH = f"{IMAGES}?digest=sha256:{DIGESTS['sha256']}"


@pytest.fixture
def image(make_image: Any, member: Caller) -> Any:
    """An image whose sender has stated its SHA-256."""
    image, stated = make_image(), {"sha256": DIGESTS["sha256"]}
    lifecycle.upload(image.pk, [DATA], member, expected_digests=stated)
    return image


def test_the_digests_of_an_image_are_told(api: Any, image: Any) -> None:
    response = api.reader.get(f"{IMAGES}/{image.pk}/digests")

    report = response.json()
    at = parse_datetime(report.pop("verified_at"))
    assert abs((timezone.now() - at).total_seconds()) < 60
    assert report == {
        "digests": DIGESTS,
        "source_digests": {},
        "verified_by": "repr-digest",
        "stored_verified_at": None,
        "damaged": [],
    }


def test_verified_and_damaged_copies_are_told(api: Any, two_copies: Any) -> None:
    path = f"{IMAGES}/{two_copies.pk}/digests"
    first, second = two_copies.locations.order_by("pk")
    two_copies.locations.filter(pk=first.pk).update(verified_at=timezone.now())
    assert api.reader.get(path).json()["stored_verified_at"] is None

    two_copies.locations.filter(pk=second.pk).update(
        verified_at="2026-01-02T03:04:05Z", damage="wrong-digest: it differs"
    )

    report = api.reader.get(path).json()
    assert report["stored_verified_at"] == "2026-01-02T03:04:05Z"
    assert report["damaged"] == [second.store]


def test_an_image_without_data_has_no_digests(api: Any, make_image: Any) -> None:
    report = api.reader.get(f"{IMAGES}/{make_image().pk}/digests").json()

    assert report["digests"] == {}
    assert report["verified_by"] is report["verified_at"] is None


def test_the_digests_of_what_a_caller_does_not_see_are_404(
    api: Any, image: Any
) -> None:
    assert api.stranger.get(f"{IMAGES}/{image.pk}/digests").status_code == 404


def test_an_image_is_found_by_the_digest_of_its_data(
    api: Any, image: Any, make_image: Any
) -> None:
    make_image("active")

    (found,) = api.reader.get(SEARCH).json()["images"]

    assert (found["id"], found["status"], found["size"]) == (
        image.pk,
        "active",
        len(DATA),
    )


def test_only_what_a_caller_sees_is_found(api: Any, image: Any) -> None:
    assert api.stranger.get(SEARCH).json()["images"] == []
    assert len(api.admin.get(SEARCH).json()["images"]) == 1


def test_images_with_the_same_data_come_page_by_page(api: Any, make_image: Any) -> None:
    made = [make_image("active", digests=DIGESTS).pk for _ in range(3)]

    first = api.reader.get(f"{SEARCH}&limit=2").json()
    second = api.reader.get(first["next"]).json()

    found = [it["id"] for page in (first, second) for it in page["images"]]
    assert found == made[::-1]
    assert "next" not in second


@pytest.mark.parametrize(
    "digest", ["", "sha256", "sha256:x", "0" * 64, "crc32:00", "sha256:%00", "a:b:c"]
)
def test_what_is_no_digest_is_400(digest: str, api: Any) -> None:
    assert api.reader.get(f"{IMAGES}?digest={digest}").status_code == 400
