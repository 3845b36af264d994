"""Downloads of data that is no longer what it was: they break off before their last byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from images import errors, lifecycle, stores
from images.access import Caller
from images.models import Image
from tests.locations import overwrite
from tests.servers import S3
from tests.web import allow_in_process, serving_folder

MIB = 1 << 20
SMALL = b"the bytes of an image"
LARGE = bytes(range(256)) * (3 * MIB // 256) + b"tail"


@pytest.fixture
def bucket(settings: Any, s3: S3) -> None:
    settings.IMAGECATALOG_STORES = s3.store("one", uuid4().hex)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Iterator[tuple[str, Path]]:
    """The URL of a web server, and its folder."""
    web = tmp_path / "web"
    web.mkdir()
    with serving_folder(web) as url:
        allow_in_process(settings, url)
        yield url, web


@pytest.fixture(params=["web", pytest.param("s3", marks=pytest.mark.s3)])
def flipped(request: pytest.FixtureRequest, make_image: Any) -> Any:
    """``flipped(data)``: an active image, of whose data a bit in the middle has changed."""
    kind = request.param
    if kind == "s3":
        request.getfixturevalue("bucket")

    def flip(data: bytes) -> Image:
        image: Image = make_image("active", data=data)
        other = bytearray(data)
        other[len(data) // 2] ^= 1
        if kind == "s3":
            overwrite(image.locations.get(), bytes(other))
        else:
            url, web = request.getfixturevalue("folder")
            (web / "image").write_bytes(other)
            image.locations.update(store="http", key=f"{url}/image")
        return image

    return flip


@pytest.fixture
def damaged(make_image: Any) -> Image:
    """An image whose only copy was found to be damaged."""
    image: Image = make_image("active", data=SMALL)
    overwrite(image.locations.get(), SMALL[::-1])
    image.locations.update(damage="wrong-digest: md5 differs")
    return image


def test_a_download_of_other_data_breaks_off_before_its_last_byte(flipped: Any) -> None:
    image, received = flipped(LARGE), bytearray()

    with pytest.raises(errors.StoreError, match="digest differs"):
        list(map(received.extend, lifecycle.read(image.pk, 0, len(LARGE))))

    assert 0 < len(received) < len(LARGE)


def test_a_small_download_of_other_data_is_refused(
    flipped: Any, client_of: Any, member: Caller
) -> None:
    image = flipped(SMALL)

    for version in ("v2", "v1"):
        end = "/file" if version == "v2" else ""
        response = client_of(member).get(f"/{version}/images/{image.pk}{end}")
        assert response.status_code == 503
        assert b"digest differs" in response.content


def test_a_range_of_all_bytes_is_compared_too(
    flipped: Any, client_of: Any, member: Caller
) -> None:
    path = f"/v2/images/{flipped(SMALL).pk}/file"

    response = client_of(member).get(path, headers={"Range": "bytes=0-"})

    assert response.status_code == 503


def test_a_part_is_not_compared_and_so_not_read_from_a_url(flipped: Any) -> None:
    image = flipped(SMALL)

    if image.locations.get().store == "http":
        with pytest.raises(errors.StoreError, match="cannot be compared"):
            lifecycle.read(image.pk, 0, 5)
        return
    assert b"".join(lifecycle.read(image.pk, 1)) != SMALL[1:]
    assert b"".join(lifecycle.read(image.pk, 0, 5)) == SMALL[:5]


def test_an_intact_copy_is_read_in_place_of_a_small_one_that_is_not(
    flipped: Any,
) -> None:
    image = flipped(SMALL)
    key = f"{image.pk}.copy"
    stores.default().put(key, [SMALL])
    image.locations.create(store=stores.default().id, key=key)

    assert b"".join(lifecycle.read(image.pk)) == SMALL


def test_an_intact_copy_is_read_in_place_of_one_that_is_known_to_be_damaged(
    damaged: Image,
) -> None:
    store, key = stores.default(), f"{damaged.pk}.copy"
    store.put(key, [SMALL])
    damaged.locations.create(store=store.id, key=key)

    assert b"".join(lifecycle.read(damaged.pk)) == SMALL
    assert b"".join(lifecycle.read(damaged.pk, allow_damaged=True)) == SMALL


@pytest.mark.parametrize("header", [{}, {"Range": "bytes=0-4"}])
def test_the_only_copy_is_not_sent_if_it_is_damaged(
    header: dict[str, str], damaged: Image, client_of: Any, admin: Caller
) -> None:
    for version in ("v2", "v1"):
        end = "/file" if version == "v2" else ""
        path = f"/{version}/images/{damaged.pk}{end}"
        response = client_of(admin).get(path, headers=header)
        assert response.status_code == 503
        assert b"damaged" in response.content

    damaged.refresh_from_db()
    assert damaged.status == "active"


def test_the_damage_that_was_found_is_told(
    damaged: Image, client_of: Any, admin: Caller
) -> None:
    damaged.locations.update(damage="wrong-size: 7 bytes, and should be 21")

    response = client_of(admin).get(f"/v2/images/{damaged.pk}/file")

    assert b"is damaged: wrong-size: 7 bytes, and should be 21." in response.content
    assert b"digest" not in response.content


def test_a_policy_file_lets_an_admin_rescue_damaged_data(
    damaged: Image, client_of: Any, admin: Caller, member: Caller, policy: Any
) -> None:
    policy('"download_damaged": "role:admin"')

    for path in (f"/v2/images/{damaged.pk}/file", f"/v1/images/{damaged.pk}"):
        response = client_of(admin).get(path)
        assert b"".join(response.streaming_content) == SMALL[::-1]
        assert client_of(member).get(path).status_code == 503


def test_bytes_that_were_missing_and_are_there_again_are_sent(make_image: Any) -> None:
    image = make_image("active", data=SMALL)
    image.locations.update(damage="missing-bytes: the store does not have its data")

    assert b"".join(lifecycle.read(image.pk)) == SMALL


@pytest.mark.parametrize("data", [b"", SMALL, LARGE, LARGE[: 2 * MIB]])
@pytest.mark.parametrize(
    "digests",
    [
        {},
        {"os_hash_algo": None, "os_hash_value": None},
        {"os_hash_algo": "crc32", "os_hash_value": "cbf43926"},
        {"checksum": None, "os_hash_algo": None, "os_hash_value": None},
    ],
)
def test_a_download_of_the_right_data_is_complete(
    data: bytes, digests: Any, folder: tuple[str, Path], make_image: Any
) -> None:
    url, web = folder
    (web / "image").write_bytes(data)
    image = make_image("active", data=data, **digests)
    image.locations.update(store="http", key=f"{url}/image")

    assert b"".join(lifecycle.read(image.pk, 0, len(data))) == data


def test_data_of_which_only_the_md5_is_known_is_compared(
    folder: tuple[str, Path], make_image: Any
) -> None:
    url, web = folder
    (web / "image").write_bytes(SMALL[::-1])
    image = make_image("active", data=SMALL, os_hash_algo=None, os_hash_value=None)
    image.locations.update(store="http", key=f"{url}/image")

    with pytest.raises(errors.StoreError, match="digest differs"):
        lifecycle.read(image.pk)


def test_a_trusted_owner_may_change_data_at_a_url(
    folder: tuple[str, Path], make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_LOCATION_DATA = "trust"
    url, web = folder
    (web / "image").write_bytes(SMALL[::-1])
    image = make_image("active", data=SMALL)
    image.locations.update(store="http", key=f"{url}/image")

    assert b"".join(lifecycle.read(image.pk)) == SMALL[::-1]
