"""Data that is somewhere else: locations, and copies from the web."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from images import errors
from images.imports import queue
from images.models import Event, Image, ImageLocation, Transfer
from tests.api.v1.conftest import kept, told
from tests.copies import waiting_copies
from tests.web import serving_files

DATA = b"the bytes of an image"
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of a web server that has `image` (DATA) and `empty`."""
    with serving_files(tmp_path / "web", settings, image=DATA, empty=b"") as url:
        yield url


def fetch() -> None:
    """Fetch the waiting copies, as the background worker does."""
    for transfer_id in waiting_copies():
        with suppress(errors.ImageError):
            queue.carry_out(transfer_id)


# Locations


def test_a_location_makes_an_image_active_that_is_never_saving(
    web: str, api: Any, register: Any
) -> None:
    response = register(api.member, location=f"{web}/image")

    image = response.json()["image"]
    assert (response.status_code, image["status"]) == (201, "active")
    assert (image["size"], image["checksum"]) == (len(DATA), MD5)
    assert told() == [
        ("create", "", "queued", "v1"),
        ("add_location", "queued", "active", "v1"),
    ]
    assert b"".join(api.member.get(f"/v1/images/{image['id']}")) == DATA
    assert kept() == []


def test_a_location_is_given_to_a_queued_image(
    web: str, api: Any, make_image: Any, put: Any
) -> None:
    image = make_image()

    response = put(api.member, image, location=f"{web}/image", name="new")

    shown = response.json()["image"]
    assert (response.status_code, shown["status"], shown["name"]) == (
        200,
        "active",
        "new",
    )


def test_a_location_is_never_shown(web: str, api: Any, register: Any) -> None:
    image_id = register(api.admin, location=f"{web}/image").json()["image"]["id"]

    head = api.admin.head(f"/v1/images/{image_id}")
    assert web not in str(head.headers)


def test_a_size_that_is_not_the_location_s_is_409(
    web: str, api: Any, register: Any, make_image: Any, put: Any
) -> None:
    fields = {"location": f"{web}/image", "size": 5}

    for response in (
        register(api.member, **fields),
        put(api.member, make_image(), **fields),
    ):
        assert response.status_code == 409
        assert "Provided image size must match the stored image size" in response.text
    assert [it.status for it in Image.objects.all()] == ["queued"]  # of make_image
    assert not ImageLocation.objects.exists()


def test_a_checksum_that_is_not_the_location_s_is_400(
    web: str, api: Any, register: Any
) -> None:
    wrong = register(api.member, location=f"{web}/image", checksum="0" * 32)
    right = register(api.member, location=f"{web}/image", checksum=MD5.upper())

    assert (wrong.status_code, right.status_code) == (400, 201)
    assert "did not match" in wrong.text
    assert Image.objects.get().checksum == MD5


def test_the_right_size_is_no_error(web: str, api: Any, register: Any) -> None:
    right = {"location": f"{web}/image", "size": len(DATA)}

    assert register(api.member, **right).json()["image"]["status"] == "active"
    empty = register(api.member, location=f"{web}/empty", size=0)
    assert empty.json()["image"]["status"] == "active"


@pytest.mark.parametrize("where", ["location", "copy_from"])
@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://10.0.0.1/image", 400),
        ("http://169.254.169.254/latest", 400),
        ("http://user:password@example.org/", 400),
        ("https:///", 400),
        ("s3://bucket/key", 400),
        ("swift+http://a/b", 400),
        ("FILE:///etc/passwd", 400),
    ],
)
def test_what_the_filter_refuses_is_400_and_registers_nothing(
    where: str, url: str, code: int, api: Any, register: Any, make_image: Any, put: Any
) -> None:
    image = make_image()

    assert register(api.admin, **{where: url}).status_code == code
    assert put(api.admin, image, **{where: url}).status_code == code
    assert Image.objects.count() == 1
    assert not Transfer.objects.exists()


def test_a_location_without_data_is_400(web: str, api: Any, register: Any) -> None:
    assert register(api.member, location=f"{web}/missing").status_code == 400
    assert not Image.objects.exists()


@pytest.mark.parametrize("where", ["location", "copy_from"])
def test_only_a_queued_image_is_told_where_its_data_is(
    where: str, web: str, api: Any, make_image: Any, put: Any
) -> None:
    for status in ("active", "saving", "killed", "deactivated"):
        response = put(api.admin, make_image(status), **{where: f"{web}/image"})

        assert response.status_code == 400
        assert "for an image not in queued status" in response.text


# Copies


def copy(register: Any, client: Any, url: str, **fields: Any) -> Any:
    return register(client, control={"x-glance-api-copy-from": url}, **fields)


def test_a_copy_is_queued_with_the_size_of_the_source_and_then_active(
    web: str, api: Any, register: Any
) -> None:
    response = copy(register, api.member, f"{web}/image")

    image = response.json()["image"]
    assert response.status_code == 201
    assert (image["status"], image["size"]) == ("queued", len(DATA))
    assert kept() == []

    fetch()

    head = api.member.head(f"/v1/images/{image['id']}")
    assert head["x-image-meta-status"] == "active"
    assert head["x-image-meta-checksum"] == MD5
    assert b"".join(api.member.get(f"/v1/images/{image['id']}")) == DATA
    assert told() == [
        ("create", "", "queued", "v1"),
        ("request_copy", "queued", "queued", "v1"),
        ("copy", "queued", "saving", "worker"),
        ("receive", "saving", "active", "worker"),
    ]
    assert Image.objects.get().os_hash_value == hashlib.sha512(DATA).hexdigest()


def test_a_copy_is_asked_for_a_queued_image(
    web: str, api: Any, make_image: Any, put: Any
) -> None:
    image = make_image()

    response = put(api.member, image, copy_from=f"{web}/image", name="new")
    assert (response.status_code, response.json()["image"]["status"]) == (200, "queued")
    assert put(api.member, image, copy_from=f"{web}/image").status_code == 409
    fetch()

    image = Image.objects.get()
    assert (image.status, image.name, image.size) == ("active", "new", len(DATA))


def test_a_source_that_is_missing_is_found_out_later_and_kills(
    web: str, api: Any, register: Any
) -> None:
    response = copy(register, api.member, f"{web}/missing")
    assert (response.status_code, response.json()["image"]["status"]) == (201, "queued")

    fetch()

    image = Image.objects.get()
    assert (image.status, kept()) == ("killed", [])
    assert "does not have this data" in Event.objects.last().reason
    assert api.member.get(f"/v1/images/{image.pk}").status_code == 404
    assert api.member.delete(f"/v1/images/{image.pk}").status_code == 200


@pytest.mark.parametrize(
    "claim",
    [{"size": 5}, {"size": 22}, {"checksum": "0" * 32}, {"disk_format": "qcow2"}],
)
def test_a_copy_that_is_not_as_it_was_said_to_be_kills(
    claim: Any, web: str, api: Any, register: Any
) -> None:
    assert copy(register, api.member, f"{web}/image", **claim).status_code == 201

    fetch()

    assert (Image.objects.get().status, kept()) == ("killed", [])


def test_a_copy_needs_formats(web: str, api: Any, register: Any) -> None:
    response = copy(register, api.member, f"{web}/image", disk_format=None)

    assert response.status_code == 400
    assert "Invalid disk format 'None' for image." in response.text


def test_a_copy_goes_to_the_store_that_was_named(
    web: str, api: Any, register: Any, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_STORES += f",second=file://{tmp_path}/second"

    copy(register, api.member, f"{web}/image", store="second")
    fetch()

    assert ImageLocation.objects.get().store == "second"


def test_deleting_an_image_ends_the_copy_that_waits(
    web: str, api: Any, register: Any
) -> None:
    image_id = copy(register, api.member, f"{web}/image").json()["image"]["id"]

    assert api.member.delete(f"/v1/images/{image_id}").status_code == 200
    fetch()

    assert (Image.objects.get().status, kept()) == ("deleted", [])
    assert Transfer.objects.get().status == "failed"


def test_an_upload_that_comes_first_makes_the_copy_needless(
    web: str, api: Any, register: Any, put: Any
) -> None:
    image_id = copy(register, api.member, f"{web}/image").json()["image"]["id"]

    assert put(api.member, Image(pk=image_id), b"other bytes").status_code == 200
    fetch()

    assert b"".join(api.member.get(f"/v1/images/{image_id}")) == b"other bytes"
    assert waiting_copies() == []
