"""The worker's part: it caches what is queued, and removes what nobody may read any more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from images import cache, errors, lifecycle, stores
from images.access import Caller
from images.models import Image
from tests.cache.conftest import MIB, download

pytestmark = pytest.mark.django_db


def row(image: Image) -> dict[str, Any]:
    return {"id": image.pk, "status": image.status}


def test_a_queued_image_is_cached(remote: Any) -> None:
    images = [remote(2 * MIB), remote(2 * MIB)]
    for image in images:
        lifecycle.cache_later(row(image))
    assert cache.queued() == [image.pk for image in images]

    lifecycle.cache_queued()

    assert cache.queued() == []
    assert cache.image_ids() == {image.pk for image in images}


@pytest.mark.parametrize("status", ["queued", "saving", "deactivated"])
def test_only_active_images_are_queued(
    status: str, cache_dir: Path, make_image: Any
) -> None:
    with pytest.raises(errors.Invalid, match=f"is {status}: only active"):
        lifecycle.cache_later(row(make_image(status)))

    assert cache.queued() == []


def test_an_image_whose_store_fails_stays_queued(remote: Any, settings: Any) -> None:
    image, works = remote(), settings.IMAGECATALOG_STORES
    lifecycle.cache_later(row(image))
    settings.IMAGECATALOG_STORES = "other=file:///none"
    lifecycle.cache_queued()
    assert cache.queued() == [image.pk]

    settings.IMAGECATALOG_STORES = works
    lifecycle.cache_queued()

    assert (cache.queued(), cache.image_ids()) == ([], {image.pk})


def test_what_cannot_be_cached_leaves_the_queue(
    cache_dir: Path, make_image: Any, remote: Any, member: Caller
) -> None:
    gone, lost, too_large = remote(), remote(), remote(11 * MIB)
    stores.default().delete(lost.locations.get().key)
    for image in (gone, lost, too_large):
        lifecycle.cache_later(row(image))
    Image.objects.filter(pk=gone.pk).update(status="deleted")

    lifecycle.cache_queued()

    assert (cache.queued(), cache.image_ids()) == ([], set())


def test_local_data_leaves_the_queue_without_being_read(
    cache_dir: Path, make_image: Any
) -> None:
    lifecycle.cache_later(row(make_image("active")))

    lifecycle.cache_queued()

    assert (cache.queued(), cache.image_ids()) == ([], set())


def test_an_image_that_a_download_is_caching_waits_for_it(remote: Any) -> None:
    image = remote(3 * MIB)
    reading = lifecycle.read(image.pk, 0, image.size)
    next(reading)
    lifecycle.cache_later(row(image))

    lifecycle.cache_queued()

    assert cache.queued() == [image.pk]
    reading.close()


def test_a_deleted_image_leaves_this_machine_at_once(
    remote: Any, member: Caller
) -> None:
    image = remote()
    download(image)
    lifecycle.cache_later(row(image))

    lifecycle.delete(image.pk, member)

    assert (cache.contents(), cache.queued()) == ([], [])


def test_images_that_another_machine_deleted_are_removed_by_the_worker(
    remote: Any, django_assert_num_queries: Any
) -> None:
    kept, *gone = (remote() for _ in range(4))
    for image in (kept, *gone):
        download(image)
    ids = [image.pk for image in gone]
    for image_id, status in zip(ids, ("deleted", "pending_delete"), strict=False):
        Image.objects.filter(pk=image_id).update(status=status)
    Image.objects.filter(pk=ids[2]).delete()

    with django_assert_num_queries(1):
        lifecycle.tidy_cache()

    assert cache.image_ids() == {kept.pk}


def test_the_worker_removes_what_is_damaged_or_left_behind(
    remote: Any, cache_dir: Path
) -> None:
    kept, changed = remote(), remote()
    for image in (kept, changed):
        download(image)
    (path,) = cache_dir.glob(f"data/{changed.pk}.*")
    path.write_bytes(os.urandom(100))
    (cache_dir / "parts" / "of-a-dead-process").write_bytes(b"half")
    (cache_dir / "uses" / "of-nothing").write_bytes(b"{}\n")

    lifecycle.tidy_cache()

    names = {path.name for path in cache_dir.glob("*/*")}
    assert {name.partition(".")[0] for name in names} == {kept.pk}


def test_a_smaller_limit_takes_effect_without_a_download(
    remote: Any, settings: Any
) -> None:
    first, second = remote(MIB), remote(MIB)
    for image in (first, second):
        download(image)

    settings.IMAGECATALOG_CACHE_MAX_SIZE = MIB
    lifecycle.tidy_cache()

    assert cache.image_ids() == {second.pk}


def test_without_a_cache_the_duties_do_nothing(db: None, tmp_path: Path) -> None:
    lifecycle.cache_queued()
    lifecycle.tidy_cache()

    assert not list(tmp_path.glob("queue"))
