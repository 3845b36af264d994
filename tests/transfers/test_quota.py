from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from images import errors, lifecycle
from images.access import Caller
from images.models import Image, ImageLocation, Status, Transfer

DATA = b"x" * 100
PROJECT = "p"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quota(settings: Any) -> int:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 250
    return 250


def test_what_fits_is_taken_to_the_last_byte(make_image: Any, admin: Caller) -> None:
    make_image("active", DATA, owner=PROJECT)
    image = make_image(owner=PROJECT)

    lifecycle.upload(image.pk, [b"x" * 150], admin)

    assert Image.objects.get(pk=image.pk).status == Status.ACTIVE


def test_an_announced_size_that_does_not_fit_is_refused_before_it_comes(
    make_image: Any, admin: Caller
) -> None:
    make_image("deactivated", DATA, owner=PROJECT)
    image = make_image(owner=PROJECT)

    with pytest.raises(errors.OverLimit, match="250 bytes"):
        lifecycle.upload(image.pk, [], admin, expected_size=151)

    assert not Transfer.objects.exists()


def test_data_of_unknown_size_is_refused_when_it_does_not_fit_any_more(
    make_image: Any, admin: Caller
) -> None:
    image, sent = make_image(owner=PROJECT), []

    def blocks() -> Iterator[bytes]:
        for number in range(10):
            sent.append(number)
            yield DATA

    with pytest.raises(errors.OverLimit):
        lifecycle.upload(image.pk, blocks(), admin)

    assert len(sent) == 3
    assert Image.objects.get().status == Status.QUEUED
    assert not ImageLocation.objects.exists()


def test_what_is_on_its_way_counts(make_image: Any, admin: Caller) -> None:
    other = make_image("saving", owner=PROJECT)
    Transfer.objects.filter(image=other).update(bytes_expected=200)
    image = make_image(owner=PROJECT)

    with pytest.raises(errors.OverLimit):
        lifecycle.upload(image.pk, [DATA], admin, expected_size=len(DATA))


def test_each_copy_counts(make_image: Any, admin: Caller) -> None:
    twice = make_image("active", DATA, owner=PROJECT)
    twice.locations.create(store="elsewhere", key="ab/copy")
    image = make_image(owner=PROJECT)

    with pytest.raises(errors.OverLimit):
        lifecycle.upload(image.pk, [DATA], admin)


@pytest.mark.parametrize("other", ["q", None])
def test_images_of_others_do_not_count(
    other: str | None, make_image: Any, admin: Caller
) -> None:
    make_image("active", DATA * 3, owner=other)
    image = make_image(owner=PROJECT)

    lifecycle.upload(image.pk, [DATA], admin)


def test_who_deletes_has_room_at_once(make_image: Any, admin: Caller) -> None:
    full = make_image("active", DATA * 2, owner=PROJECT)
    lifecycle.delete(full.pk, admin)
    image = make_image(owner=PROJECT)

    lifecycle.upload(image.pk, [DATA], admin)

    assert Image.objects.get(pk=full.pk).status == Status.PENDING_DELETE


@pytest.mark.django_db(transaction=True)
def test_of_uploads_that_end_together_only_those_that_fit_are_taken(
    make_image: Any, admin: Caller
) -> None:
    images = [make_image(owner=PROJECT) for _ in range(4)]
    together = threading.Barrier(len(images))

    def blocks() -> Iterator[bytes]:
        yield DATA
        together.wait(30)

    def upload(image: Image) -> bool:
        try:
            lifecycle.upload(image.pk, blocks(), admin)
        except errors.OverLimit:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(len(images)) as pool:
        taken = list(pool.map(upload, images))

    assert sum(taken) == 2
    assert Image.objects.filter(status=Status.ACTIVE).count() == 2
    assert Image.objects.filter(status=Status.QUEUED).count() == 2
