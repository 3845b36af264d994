from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from images import errors, lifecycle
from images.access import Caller
from images.lifecycle import image_count
from images.models import Image

LIMIT = 3


@pytest.fixture(autouse=True)
def limit(settings: Any) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_TOTAL = LIMIT


def create(owner: str, actor: Caller) -> Image:
    return lifecycle.create({"owner": owner}, {}, [], actor)


def test_a_project_has_no_more_images_than_the_limit(
    make_image: Any, admin: Caller
) -> None:
    for _ in range(LIMIT - 1):
        make_image(owner="full")
    create("full", admin)

    with pytest.raises(errors.OverLimit, match="3 images"):
        create("full", admin)
    create("other", admin)


@pytest.mark.parametrize("status", ["deleted", "pending_delete"])
def test_deleted_images_do_not_count(
    status: str, make_image: Any, admin: Caller
) -> None:
    for _ in range(LIMIT):
        make_image(status, owner="empty")

    create("empty", admin)


def test_a_project_above_a_lowered_limit_keeps_and_changes_its_images(
    make_image: Any, member: Caller, settings: Any
) -> None:
    image = make_image()
    settings.IMAGECATALOG_IMAGE_COUNT_TOTAL = 0

    lifecycle.tag(image.pk, "a", member)

    assert Image.objects.get().tags == ["a"]


def test_a_restored_image_counts_like_a_new_one(make_image: Any, admin: Caller) -> None:
    trashed = make_image("active", b"data", owner="full")
    lifecycle.delete(trashed.pk, admin)
    images = [make_image(owner="full") for _ in range(LIMIT)]

    with pytest.raises(errors.OverLimit, match="3 images"):
        lifecycle.restore(trashed.pk, admin)
    lifecycle.delete(images[0].pk, admin)
    lifecycle.restore(trashed.pk, admin)

    assert Image.objects.get(pk=trashed.pk).status == "active"


def test_a_negative_limit_is_no_limit(admin: Caller, settings: Any, db: None) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_TOTAL = -1

    for _ in range(LIMIT + 1):
        create("any", admin)


def test_a_project_far_below_its_limit_is_not_locked(
    admin: Caller, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_count, "MARGIN", 2)
    monkeypatch.setattr(image_count.quota, "lock_project", pytest.fail)

    create("small", admin)


@pytest.mark.django_db(transaction=True)
def test_images_created_at_once_do_not_exceed_the_limit(admin: Caller) -> None:
    def attempt(_: int) -> bool:
        try:
            create("full", admin)
        except errors.OverLimit:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(attempt, range(8)))

    assert created.count(True) == Image.objects.count() == LIMIT
