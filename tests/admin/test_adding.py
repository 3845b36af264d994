"""Images that are added in the admin: by a form for each way, in which the file is chosen, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from images.models import Image
from tests.admin.conftest import LIST

FORM = {
    "name": "debian",
    "visibility": "private",
    "disk_format": "qcow2",
    "container_format": "bare",
    "min_disk": "3",
    "min_ram": "0",
    "tags": "lts\ngolden",
    "property_name": "os_distro",
    "property_value": "debian",
}
JSON = {"Accept": "application/json"}


def test_the_script_of_the_form_gets_the_addresses_for_the_upload(
    root: Client, db: None
) -> None:
    response = root.post(f"{LIST}add/file/", FORM, headers=JSON)

    path = f"{LIST}{Image.objects.get().pk}/"
    assert response.status_code == 201
    assert response.json() == {
        "title": "debian",
        "status": "queued",
        "label": "Queued",
        "page": f"{path}upload/",
        "live": f"{path}upload/live/",
        "uploads": f"{path}uploads",
        "done": f"{path}change/",
    }
    assert root.get(response.json()["page"]).status_code == 200
    assert root.get(response.json()["uploads"]).status_code == 200


def test_without_the_script_the_form_leads_to_the_upload_page(
    root: Client, db: None
) -> None:
    response = root.post(f"{LIST}add/file/", FORM)

    assert response["Location"] == f"{LIST}{Image.objects.get().pk}/upload/"


def test_the_script_of_the_form_gets_its_errors_as_a_page(
    root: Client, db: None
) -> None:
    response = root.post(f"{LIST}add/file/", FORM | {"disk_format": ""}, headers=JSON)

    assert response.status_code == 200
    assert 'data-part="image"' in response.content.decode()
    assert "This field is required." in response.content.decode()
    assert not Image.objects.exists()


def test_another_way_to_add_the_image_keeps_what_was_entered(
    root: Client, db: None
) -> None:
    entered = FORM | {"protected": "on", "switch": "1"}

    response = root.post(f"{LIST}add/url/", entered)

    form = response.context["form"]
    assert {name: form[name].value() for name in ("name", "min_disk", "tags")} == {
        "name": "debian",
        "min_disk": "3",
        "tags": "lts\ngolden",
    }
    assert form["protected"].value() is True
    assert 'value="os_distro"' in response.content.decode()
    assert "Correct the marked fields" not in response.content.decode()
    assert not Image.objects.exists()


def test_the_url_is_kept_for_another_way(root: Client, db: None) -> None:
    url = "https://example.org/debian.qcow2"

    response = root.post(f"{LIST}add/location/", FORM | {"switch": "1", "url": url})

    assert response.context["source_form"]["url"].value() == url


def test_a_form_leads_only_to_the_ways_that_are_allowed(
    root: Client, db: None, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_METHODS = ()

    content = root.get(f"{LIST}add/file/").content.decode()

    assert 'formaction="../location/"' in content
    assert 'formaction="../url/"' not in content


def test_the_form_is_filled_with_what_the_first_bytes_tell(
    root: Client, db: None
) -> None:
    response = root.post(
        f"{LIST}add/guess/?name=debian-13.img",
        b"QFI\xfb\x00\x00\x00\x03" + bytes(504),
        content_type="application/octet-stream",
    )

    assert response.json() == {
        "name": "debian-13",
        "disk_format": "qcow2",
        "container_format": "bare",
    }


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_guesses_are_for_those_who_add_images(
    role: str, signed_in: Callable[..., Client]
) -> None:
    assert signed_in(role).get(f"{LIST}add/guess/?name=a.raw").status_code == 403
