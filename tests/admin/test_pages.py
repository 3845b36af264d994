"""Every page is there, in every status of an image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from images.models import Image, Status
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]


@pytest.mark.parametrize("status", Status.values)
def test_an_image_has_a_page_in_every_status(
    root: Client, make_image: MakeImage, status: str
) -> None:
    image = make_image(status, name="disk", tags=["a"], properties={"os_type": "linux"})

    response = root.get(f"{LIST}{image.pk}/change/")

    assert response.status_code == 200
    assert image.pk in response.content.decode()


@pytest.mark.parametrize(
    "path",
    ["/admin/", LIST, f"{LIST}add/", f"{LIST}add/metadata/", f"{LIST}add/location/"],
)
def test_a_page_is_there(root: Client, make_image: MakeImage, path: str) -> None:
    for status in Status.values:
        make_image(status)

    assert root.get(path).status_code == 200
