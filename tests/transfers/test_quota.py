from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from images import errors, lifecycle, uploads
from images.access import Caller
from images.attributes import Changes
from images.models import Image, ImageLocation, Status, Transfer, TransferStatus
from images.transfers import reaper
from tests.web import allow_in_process

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

    sentence = "250 bytes: they use 100, and at least 151 more are needed"
    with pytest.raises(errors.OverLimit, match=sentence):
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

    with pytest.raises(errors.OverLimit, match="use 0, and at least 300 more"):
        lifecycle.upload(image.pk, blocks(), admin)

    assert len(sent) == 3
    assert Image.objects.get().status == Status.QUEUED
    assert not ImageLocation.objects.exists()


def test_refusals_are_counted_by_limit(
    make_image: Any, admin: Caller, counts: Any
) -> None:
    image = make_image(owner=PROJECT)
    for _ in range(2):
        with pytest.raises(errors.QuotaExceeded):
            lifecycle.upload(image.pk, [], admin, expected_size=251)

    assert counts()["quota_refusals_total", "image_size_total"] == 2


def test_soft_limits_are_compared_with_what_a_project_has_when_data_begins_to_come(
    make_image: Any, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_SIZE_LIMITS = "soft"
    make_image("active", b"x" * 250, owner=PROJECT)

    lifecycle.upload(make_image(owner=PROJECT).pk, [DATA], admin)
    with pytest.raises(errors.OverLimit, match="250 bytes"):
        lifecycle.upload(make_image(owner=PROJECT).pk, [], admin)

    active = Image.objects.filter(status=Status.ACTIVE)
    assert sorted(active.values_list("size", flat=True)) == [100, 250]


def test_a_soft_limit_of_staged_data_is_compared_when_data_begins_to_come(
    make_image: Any, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_SIZE_LIMITS = "soft"
    settings.IMAGECATALOG_USER_STAGING_QUOTA = 100
    for _ in range(2):
        uploads.stage(make_image(owner=PROJECT).pk, [DATA], admin)

    with pytest.raises(errors.OverLimit, match="100 bytes"):
        uploads.stage(make_image(owner=PROJECT).pk, [b"x"], admin)


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


def test_a_restore_counts_too(make_image: Any, admin: Caller) -> None:
    deleted = make_image("active", DATA * 2, owner=PROJECT)
    lifecycle.delete(deleted.pk, admin)
    make_image("active", DATA, owner=PROJECT)

    with pytest.raises(errors.OverLimit):
        lifecycle.restore(deleted.pk, admin)

    assert Image.objects.get(pk=deleted.pk).status == Status.PENDING_DELETE


def test_a_known_size_is_reserved_before_the_first_byte(
    make_image: Any, admin: Caller
) -> None:
    image, seen = make_image(owner=PROJECT), []

    def blocks() -> Iterator[bytes]:
        seen.append(Transfer.objects.get().bytes_reserved)
        yield DATA

    lifecycle.upload(image.pk, blocks(), admin, expected_size=len(DATA))

    assert seen == [len(DATA)]


def test_bytes_reserved_by_a_waiting_web_download_count(
    make_image: Any, admin: Caller, settings: Any
) -> None:
    url = "http://127.0.0.1:80/image"
    allow_in_process(settings, url)
    other, image = make_image(owner=PROJECT), make_image(owner=PROJECT)
    source = lifecycle.Source(url, size=200)
    lifecycle.request_fetch(other.pk, source, Changes(), admin)

    with pytest.raises(errors.OverLimit):
        lifecycle.upload(image.pk, [DATA], admin, expected_size=len(DATA))


def test_an_import_needs_no_more_than_its_resumable_upload(
    make_image: Any, admin: Caller
) -> None:
    image = make_image(owner=PROJECT)
    upload = uploads.begin(image.pk, 250, admin)

    uploads.append(image.pk, str(upload.pk), 0, [b"x" * 250], admin)

    assert Image.objects.get().status == Status.ACTIVE


def test_resumable_uploads_have_a_quota_of_their_own(
    make_image: Any, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STAGING_QUOTA = 150
    uploads.begin(make_image(owner=PROJECT).pk, 100, admin)
    image = make_image(owner=PROJECT)

    with pytest.raises(errors.OverLimit, match="150 bytes"):
        uploads.begin(image.pk, 51, admin)
    uploads.begin(make_image(owner="q").pk, 150, admin)
    uploads.begin(image.pk, 50, admin)


def test_chunks_of_an_ended_upload_count_until_they_are_removed(
    make_image: Any, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STAGING_QUOTA = 150
    ended, image = make_image(owner=PROJECT), make_image(owner=PROJECT)
    upload = uploads.begin(ended.pk, 100, admin)
    uploads.append(ended.pk, str(upload.pk), 0, [b"x" * 60], admin, announced=60)
    lifecycle.delete(ended.pk, admin)

    with pytest.raises(errors.OverLimit):
        uploads.begin(image.pk, 100, admin)
    reaper.reap()
    uploads.begin(image.pk, 100, admin)


def test_a_dead_transfer_reserves_nothing_any_more(
    make_image: Any, admin: Caller
) -> None:
    other, image = make_image("saving", owner=PROJECT), make_image(owner=PROJECT)
    long_ago = timezone.now() - timedelta(days=1)
    Transfer.objects.update(bytes_reserved=250, heartbeat_at=long_ago)
    reaper.reap()

    lifecycle.upload(image.pk, [DATA], admin, expected_size=len(DATA))

    assert Image.objects.get(pk=other.pk).status == Status.QUEUED


def test_partial_data_of_a_deleted_image_counts_until_it_is_removed(
    make_image: Any, admin: Caller
) -> None:
    deleted, image = make_image(owner=PROJECT), make_image(owner=PROJECT)

    def uploading() -> Iterator[bytes]:
        yield DATA
        lifecycle.delete(deleted.pk, admin)
        with pytest.raises(errors.OverLimit):
            lifecycle.upload(image.pk, [DATA], admin, expected_size=len(DATA))
        raise errors.BodyIncomplete

    with pytest.raises(errors.BodyIncomplete):
        lifecycle.upload(deleted.pk, uploading(), admin, expected_size=200)

    lifecycle.upload(image.pk, [DATA], admin, expected_size=len(DATA))


def test_a_transfer_without_a_quota_reserves_nothing(
    make_image: Any, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 0

    lifecycle.upload(make_image().pk, [DATA], admin, expected_size=len(DATA))

    assert Transfer.objects.get().bytes_reserved is None


@pytest.mark.django_db(transaction=True)
def test_of_parallel_uploads_of_known_size_exactly_those_that_fit_are_taken(
    make_image: Any, admin: Caller
) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"x" * 50

    outcome = upload_together(make_image, admin, 8, blocks, expected_size=50)

    assert outcome == {Status.ACTIVE: 5, Status.QUEUED: 3}


@pytest.mark.django_db(transaction=True)
def test_parallel_uploads_of_unknown_size_never_have_more_than_the_quota(
    make_image: Any, admin: Caller, quota: int
) -> None:
    totals = []

    def blocks() -> Iterator[bytes]:
        for _ in range(12):
            yield b"x" * 10
            running = Transfer.objects.filter(status=TransferStatus.RUNNING)
            totals.append(sum(transfer.bytes_reserved or 0 for transfer in running))

    outcome = upload_together(make_image, admin, 6, blocks)

    assert 1 <= outcome[Status.ACTIVE] <= 2
    assert outcome.total() == 6
    assert max(totals) <= quota


@pytest.mark.django_db(transaction=True)
def test_of_uploads_that_began_without_a_quota_those_that_fit_are_taken(
    make_image: Any, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 0

    def introduce_quota() -> None:
        settings.IMAGECATALOG_USER_STORAGE_QUOTA = 250

    together = threading.Barrier(4, introduce_quota)

    def blocks() -> Iterator[bytes]:
        yield DATA
        together.wait(30)

    outcome = upload_together(make_image, admin, 4, blocks)

    assert outcome == {Status.ACTIVE: 2, Status.QUEUED: 2}


def upload_together(
    make_image: Any,
    admin: Caller,
    number: int,
    blocks: Callable[[], Iterator[bytes]],
    **announced: int,
) -> Counter[str]:
    """Upload to as many images at once; return how many images are in each status."""

    def upload(image: Image) -> None:
        try:
            lifecycle.upload(image.pk, blocks(), admin, **announced)
        except errors.OverLimit:
            pass
        finally:
            connection.close()

    images = [make_image(owner=PROJECT) for _ in range(number)]
    with ThreadPoolExecutor(number) as pool:
        list(pool.map(upload, images))
    return Counter(Image.objects.values_list("status", flat=True))
