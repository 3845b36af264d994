"""Data that stays at a web address, handed through: few at once, and each gives its place back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest

from images import errors, lifecycle, min_rate
from images.access import Caller
from images.lifecycle import downloading
from images.models import Image
from images.transfers import concurrency
from tests.web import serving_files

pytestmark = pytest.mark.django_db

DATA = bytes(1 << 16)


@pytest.fixture
def image(tmp_path: Path, settings: Any, make_image: Any) -> Iterator[Image]:
    with serving_files(tmp_path / "web", settings, image=DATA) as web:
        image = make_image("active", data=DATA)
        image.locations.update(store="http", key=f"{web}/image")
        yield image


@pytest.fixture(autouse=True)
def one_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "DOWNLOADS", BoundedSemaphore(1))
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 0.1)


def read(image: Image, *part: int) -> Any:
    """Blocks that can be closed."""
    return lifecycle.read(image.pk, *part)


def is_free() -> bool:
    free = concurrency.DOWNLOADS.acquire(blocking=False)
    if free:
        concurrency.DOWNLOADS.release()
    return free


def test_a_download_that_is_read_to_its_end_gives_its_slot_back(image: Image) -> None:
    assert b"".join(read(image)) == DATA
    assert is_free()


def test_a_download_that_nobody_begins_to_read_gives_its_slot_back(
    image: Image,
) -> None:
    blocks = read(image)
    assert not is_free()

    blocks.close()

    assert is_free()


def test_a_download_that_is_left_in_the_middle_gives_its_slot_back(
    image: Image,
) -> None:
    blocks = read(image)
    assert next(blocks)

    blocks.close()

    assert is_free()


def test_a_response_that_is_closed_before_its_first_block_gives_its_slot_back(
    image: Image, client_of: Any, member: Caller
) -> None:
    response = client_of(member).get(f"/v2/images/{image.pk}/file")
    assert not is_free()

    response.close()

    assert is_free()


@pytest.mark.parametrize("status", [404, None])
def test_a_download_that_cannot_begin_gives_its_slot_back(
    status: int | None, image: Image, settings: Any
) -> None:
    if status:
        image.locations.update(key=f"{image.locations.get().key}-lost")
    else:
        settings.IMAGECATALOG_URL_ALLOWED_PORTS = (1,)

    with pytest.raises(errors.DataMissing):
        read(image)

    assert is_free()


def test_a_download_that_breaks_off_gives_its_slot_back(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "SLICE", 64)
    blocks = read(image)
    monkeypatch.setattr(min_rate, "PAUSE", -1e9)  # as if it had gone on for ages

    with pytest.raises(errors.StoreError, match="slowly"):
        list(blocks)

    assert is_free()


def test_who_takes_a_download_too_slowly_loses_its_slot(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "SLICE", 64)
    monkeypatch.setattr(min_rate, "PAUSE", 0.05)

    slowly = (time.sleep(0.2) for _ in read(image))

    with pytest.raises(errors.StoreError, match="far too slowly"):
        list(slowly)

    assert is_free()


def test_one_too_many_is_told_to_come_again(
    image: Image, client_of: Any, member: Caller
) -> None:
    blocks = read(image)

    refused = client_of(member).get(f"/v2/images/{image.pk}/file")

    assert refused.status_code == 503
    assert b"Try again" in refused.content
    blocks.close()


def test_a_copy_in_a_store_is_taken_when_too_many_read_from_web_addresses(
    image: Image, make_image: Any
) -> None:
    other = make_image("active", data=b"here").locations.get()
    blocks = read(image)

    image.locations.create(store=other.store, key=other.key)

    assert b"".join(read(image)) == b"here"
    blocks.close()


def test_an_image_with_many_addresses_waits_no_longer_than_one_with_one(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = image.locations.get().key
    for number in range(29):
        image.locations.create(store="http", key=f"{url}?{number}")
    blocks = read(image)
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 1.0)
    began = time.monotonic()

    with pytest.raises(errors.StoreError):
        read(image)

    assert time.monotonic() - began < 15
    blocks.close()
