"""Limits of single projects, which replace the default ones."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from images import errors, lifecycle, uploads
from images.access import Caller
from images.models import Image, QuotaLimit, Status, Transfer
from images.transfers import limits

MIB = 1 << 20
PROJECT = "p"

pytestmark = pytest.mark.django_db


def test_a_project_without_its_own_limits_has_the_default_ones(settings: Any) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 7 * MIB + 1
    settings.IMAGECATALOG_USER_STAGING_QUOTA = 0
    settings.IMAGECATALOG_IMAGE_COUNT_TOTAL = 3

    assert limits.of(PROJECT) == {
        "image_size_total": 7 * MIB + 1,
        "image_stage_total": None,
        "image_count_total": 3,
        "image_count_uploading": 1000,
    }


def test_a_limit_of_its_own_replaces_the_default_one(settings: Any) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_TOTAL = 3

    limits.set_own(PROJECT, {"image_size_total": 2, "image_count_total": -1})

    assert limits.of(PROJECT)["image_size_total"] == 2 * MIB
    assert limits.of(PROJECT)["image_count_total"] is None
    assert limits.of("another")["image_count_total"] == 3
    assert limits.of(None)["image_count_total"] == 3


def test_staging_and_trash_have_the_limit_of_the_images_by_default(
    settings: Any,
) -> None:
    limits.set_own(PROJECT, {"image_size_total": 2})
    assert limits.of(PROJECT)["image_stage_total"] == 2 * MIB
    assert limits.of_trash(PROJECT) == 2 * MIB

    settings.IMAGECATALOG_USER_TRASH_QUOTA = 0
    limits.set_own(PROJECT, {"image_stage_total": 1})
    assert limits.of(PROJECT)["image_stage_total"] == MIB
    assert limits.of_trash(PROJECT) is None


def test_none_is_the_default_again() -> None:
    limits.set_own(PROJECT, {"image_size_total": 2})

    limits.set_own(PROJECT, {"image_size_total": None})

    assert limits.of(PROJECT)["image_size_total"] is None
    assert not QuotaLimit.objects.exists()


@pytest.mark.parametrize("value", [-2, limits.LARGEST + 1, True, "5", 1.5])
def test_what_is_no_limit_is_refused(value: Any) -> None:
    with pytest.raises(errors.Invalid, match="whole number"):
        limits.set_own(PROJECT, {"image_count_total": 1, "image_size_total": value})

    assert not QuotaLimit.objects.exists()


def test_an_unknown_limit_is_refused() -> None:
    with pytest.raises(errors.Invalid, match="no limit 'image_size'"):
        limits.set_own(PROJECT, {"image_size": 1})


def test_no_image_fits_where_nothing_is_allowed(make_image: Any, admin: Caller) -> None:
    limits.set_own(PROJECT, {"image_size_total": 0})
    image = make_image(owner=PROJECT)

    with pytest.raises(errors.OverLimit, match="0 bytes"):
        lifecycle.upload(image.pk, [b"x"], admin)


def test_a_lowered_limit_refuses_growth_only(make_image: Any, admin: Caller) -> None:
    image = make_image("active", owner=PROJECT)
    limits.set_own(PROJECT, {"image_size_total": 0, "image_count_total": 0})

    lifecycle.deactivate(image.pk, admin)

    with pytest.raises(errors.OverLimit):
        lifecycle.create({"owner": PROJECT}, {}, [], admin)


def test_each_limit_is_the_project_s_own(make_image: Any, admin: Caller) -> None:
    limits.set_own(PROJECT, {"image_stage_total": 1, "image_count_uploading": 1})
    image = make_image(owner=PROJECT)

    with pytest.raises(errors.OverLimit, match="staged and imported data"):
        uploads.begin(image.pk, MIB + 1, admin)
    uploads.begin(image.pk, MIB, admin)
    with pytest.raises(errors.OverLimit, match="on its way"):
        uploads.begin(make_image(owner=PROJECT).pk, 0, admin)


@pytest.mark.django_db(transaction=True)
def test_parallel_requests_never_exceed_the_limit_of_a_project(
    make_image: Any, admin: Caller
) -> None:
    limits.set_own(PROJECT, {"image_size_total": 5})
    images = [make_image(owner=PROJECT) for _ in range(8)]

    def blocks() -> Iterator[bytes]:
        yield bytes(MIB)

    def attempt(image: Image) -> bool:
        try:
            lifecycle.upload(image.pk, blocks(), admin, expected_size=MIB)
        except errors.OverLimit:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as threads:
        accepted = list(threads.map(attempt, images))

    active = Image.objects.filter(status=Status.ACTIVE).count()
    assert accepted.count(True) == active == 5
    assert not Transfer.objects.filter(status="running").exists()
