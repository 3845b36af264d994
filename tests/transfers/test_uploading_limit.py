"""image_count_uploading: to how many images of a project data may be on its way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from images import errors, lifecycle, uploads
from images.access import Caller
from images.attributes import Changes
from images.models import Image, Status, Transfer
from images.transfers import usage
from tests.web import allow_in_process

PROJECT = "p"
URL = "http://127.0.0.1:80/image"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limit(settings: Any) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING = 1
    allow_in_process(settings, URL)


def upload(image: Image, actor: Caller) -> None:
    lifecycle.upload(image.pk, [b"x"], actor)


def upload_in_v1(image: Image, actor: Caller) -> None:
    killed = Status.KILLED
    lifecycle.upload(image.pk, [b"x"], actor, status_on_failure=killed)


def stage(image: Image, actor: Caller) -> None:
    uploads.begin(image.pk, 5, actor)


def fetch(image: Image, actor: Caller) -> None:
    source = lifecycle.Source(URL, size=5)
    lifecycle.request_fetch(image.pk, source, Changes(), actor)


@pytest.mark.parametrize("begin", [upload, upload_in_v1, stage, fetch])
@pytest.mark.parametrize("status", ["saving", "uploading"])
def test_no_transfer_begins_while_as_many_as_allowed_are_under_way(
    begin: Any, status: str, make_image: Any, admin: Caller
) -> None:
    make_image(status, owner=PROJECT)
    image = make_image(owner=PROJECT)

    with pytest.raises(errors.OverLimit, match="1 image of the project"):
        begin(image, admin)

    assert Image.objects.get(pk=image.pk).status == Status.QUEUED
    assert not Transfer.objects.filter(image=image).exists()


def test_a_requested_web_download_counts_while_it_waits(
    make_image: Any, admin: Caller
) -> None:
    fetch(make_image(owner=PROJECT), admin)

    with pytest.raises(errors.OverLimit):
        upload(make_image(owner=PROJECT), admin)


def test_ended_transfers_and_those_of_other_projects_do_not_count(
    make_image: Any, admin: Caller
) -> None:
    make_image("saving", owner="other")

    upload(make_image(owner=PROJECT), admin)
    upload(make_image(owner=PROJECT), admin)

    assert Counter(Image.objects.values_list("status", flat=True)) == {
        "active": 2,
        "saving": 1,
    }


def test_a_resumable_upload_is_imported_within_the_limit(
    make_image: Any, admin: Caller
) -> None:
    image = make_image(owner=PROJECT)
    upload = uploads.begin(image.pk, 5, admin)

    uploads.append(image.pk, str(upload.pk), 0, [b"bytes"], admin)

    assert Image.objects.get().status == Status.ACTIVE


@pytest.mark.django_db(transaction=True)
def test_transfers_that_begin_at_once_do_not_exceed_the_limit(
    make_image: Any, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING = 2
    most = []

    def blocks() -> Iterator[bytes]:
        for _ in range(5):
            most.append(usage.uploading(PROJECT).count())
            yield b"x"

    def attempt(image: Image) -> None:
        try:
            lifecycle.upload(image.pk, blocks(), admin)
        except errors.OverLimit:
            pass
        finally:
            connection.close()

    images = [make_image(owner=PROJECT) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(attempt, images))

    assert 1 <= max(most) <= 2
    assert Image.objects.filter(status="active").count() >= 2
