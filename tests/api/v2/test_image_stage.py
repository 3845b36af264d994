"""``PUT /v2/images/{id}/stage``."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from images import errors, lifecycle
from images.access import Caller
from images.models import Image, Status
from images.operations import consistency
from images.stores.local import LocalStore
from tests.rows import status

DATA = b"the bytes of an image"
OCTETS = "application/octet-stream"


def stage(
    client: Client,
    image: Image,
    data: bytes = DATA,
    content_type: str = OCTETS,
    **headers: str,
) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/v2/images/{image.pk}/stage"
    response: HttpResponse = client.put(
        path, data, CONTENT_TYPE=content_type, headers=named
    )
    return response


@pytest.fixture
def image(db: None, member: Caller) -> Image:
    formats = {"disk_format": "raw", "container_format": "bare"}
    return lifecycle.create(formats | {"owner": member.project}, {}, [], member)


def test_staged_data_makes_the_image_uploading(api: Any, image: Image) -> None:
    response = stage(api.member, image)

    assert (response.status_code, response.content) == (204, b"")
    shown = api.member.get(f"/v2/images/{image.pk}").json()
    assert (shown["status"], shown["size"]) == ("uploading", len(DATA))
    assert shown["checksum"] is None
    assert api.member.get(f"/v2/images/{image.pk}/file").status_code == 204


def test_formats_need_not_be_set(api: Any, make_image: Any) -> None:
    image = make_image(disk_format=None, container_format=None)

    assert stage(api.member, image).status_code == 204


@pytest.mark.parametrize("size", ["x", "-1", ""])
def test_a_bad_size_is_refused(api: Any, image: Image, size: str) -> None:
    response = stage(api.member, image, x_openstack_image_size=size)

    assert response.status_code == 400
    assert b"Invalid or missing image size" in response.content
    assert status(image) == Status.QUEUED


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_a_wrong_size_queues_the_image_again(api: Any, image: Image, size: int) -> None:
    response = stage(api.member, image, x_openstack_image_size=str(size))

    assert response.status_code == 400
    assert status(image) == Status.QUEUED
    assert list(consistency.check()) == []


def test_another_content_type_is_refused(api: Any, image: Image) -> None:
    assert stage(api.member, image, content_type="text/plain").status_code == 415
    assert status(image) == Status.QUEUED


def test_only_members_of_the_project_can_stage(api: Any, make_image: Any) -> None:
    private, public = make_image(), make_image(visibility="public")

    assert stage(api.reader, private).status_code == 403
    assert stage(api.stranger, private).status_code == 404
    assert stage(api.stranger, public).status_code == 403
    assert {status(private), status(public)} == {Status.QUEUED}


@pytest.mark.parametrize("taken", ["active", "uploading", "importing", "deactivated"])
def test_an_image_that_is_not_queued_is_refused(
    api: Any, make_image: Any, taken: str
) -> None:
    image = make_image(taken)

    assert stage(api.member, image).status_code == 409
    assert status(image) == taken


def test_data_is_staged_once(api: Any, image: Image) -> None:
    stage(api.member, image)

    assert stage(api.member, image).status_code == 409


def test_data_above_the_cap_is_refused(api: Any, image: Image, settings: Any) -> None:
    settings.IMAGECATALOG_IMAGE_SIZE_CAP = 3

    assert stage(api.member, image).status_code == 413
    assert status(image) == Status.QUEUED


def test_an_image_that_is_deleted_meanwhile_is_410(
    api: Any, image: Image, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = LocalStore.put

    def deleting(self: LocalStore, *arguments: Any) -> None:
        lifecycle.delete(image.pk, member)
        put(self, *arguments)

    monkeypatch.setattr(LocalStore, "put", deleting)

    assert stage(api.member, image).status_code == 410
    assert status(image) == Status.DELETED


@pytest.mark.parametrize(
    ("error", "code"), [(errors.StoreFull, 413), (errors.StoreError, 503)]
)
def test_a_failing_store_queues_the_image_again(
    api: Any,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
    error: type[errors.StoreError],
    code: int,
) -> None:
    def failing(self: LocalStore, key: str, *data: Any) -> None:
        raise error("The store cannot be written.")

    monkeypatch.setattr(LocalStore, "put", failing)

    assert stage(api.member, image).status_code == code
    assert status(image) == Status.QUEUED
    assert list(consistency.check()) == []


def test_other_methods_are_not_allowed(api: Any, image: Image) -> None:
    response = api.member.get(f"/v2/images/{image.pk}/stage")

    assert (response.status_code, response.headers["Allow"]) == (405, "PUT")
