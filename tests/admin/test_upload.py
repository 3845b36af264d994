"""The upload of the admin's pages: signed in by the session, with its CSRF token, as the role allows."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any

import pytest
from django.test import Client

from images.models import Event, Image, Status, Transfer, UploadChunk
from tests.admin.conftest import LIST

TUS = {"Tus-Resumable": "1.0.0"}
OFFSET = "application/offset+octet-stream"
DATA = b"0123456789"


def create(client: Client, image: Image, **headers: str) -> Any:
    given = TUS | {"Upload-Length": str(len(DATA))} | headers
    return client.generic("POST", f"{LIST}{image.pk}/uploads", headers=given)


def send(client: Client, path: str, **headers: str) -> Any:
    given = TUS | {"Upload-Offset": "0"} | headers
    return client.patch(path, DATA, OFFSET, headers=given)


def path_of(image: Image, response: Any) -> str:
    return f"{LIST}{image.pk}/uploads/{response.headers['Location'].split('/')[-1]}"


def test_a_catalogue_manager_uploads_by_session(
    signed_in: Callable[..., Client], make_image: Any
) -> None:
    client, image = signed_in("catalogue manager"), make_image()

    path = path_of(image, create(client, image))
    assert send(client, path).status_code == 204

    assert Image.objects.get().status == Status.ACTIVE
    event = Event.objects.order_by("pk").last()
    assert event is not None
    assert (event.actor, event.interface) == ("catalogue manager", "admin")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("Content-Range", "bytes 0-9/20", 400), ("Content-Encoding", "gzip", 415)],
)
def test_a_part_or_encoded_data_is_not_stored(
    name: str,
    value: str,
    code: int,
    signed_in: Callable[..., Client],
    make_image: Any,
) -> None:
    client, image = signed_in("catalogue manager"), make_image()
    path = path_of(image, create(client, image))

    assert send(client, path, **{name: value}).status_code == code
    assert client.head(path, headers=TUS).headers["Upload-Offset"] == "0"


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_other_roles_do_not(
    role: str, root: Client, signed_in: Callable[..., Client], make_image: Any
) -> None:
    client, image = signed_in(role), make_image()
    path = path_of(image, create(root, image))

    assert create(client, image).status_code == 403
    assert send(client, path).status_code == 403
    assert client.head(path, headers=TUS).status_code == 403
    assert client.delete(path, headers=TUS).status_code == 403
    assert client.get(f"{LIST}{image.pk}/upload/").status_code == 403
    assert client.get(f"{LIST}{image.pk}/upload/live/").status_code == 403
    assert Image.objects.get().status == Status.UPLOADING


def test_who_is_not_signed_in_is_refused_without_a_dialog(make_image: Any) -> None:
    response = create(Client(), make_image())

    assert response.status_code == 403
    assert "WWW-Authenticate" not in response.headers


def test_without_the_csrf_token_nothing_is_changed(
    signed_in: Callable[..., Client], make_image: Any
) -> None:
    client, image = signed_in(enforce_csrf_checks=True), make_image()
    client.cookies["csrftoken"] = "a" * 32

    assert create(client, image).status_code == 403
    override = {"X-HTTP-Method-Override": "GET"}
    create(client, image, **override)
    assert Image.objects.get().status == Status.QUEUED
    assert create(client, image, **{"X-CSRFToken": "a" * 32}).status_code == 201


def test_the_api_takes_no_session(root: Client, make_image: Any) -> None:
    image = make_image()
    given = TUS | {"Upload-Length": "10"}

    response = root.generic("POST", f"/v2/images/{image.pk}/uploads", headers=given)

    assert response.status_code == 401


@pytest.mark.parametrize("status", Status.values)
def test_the_page_of_an_image_in_any_status(
    root: Client, make_image: Any, status: str
) -> None:
    image = make_image(status)

    response = root.get(f"{LIST}{image.pk}/upload/")

    assert response.status_code == 200
    takes = status in (Status.QUEUED, Status.UPLOADING)
    assert (b'id="upload"' in response.content) == takes


def sentences(client: Client, image: Image) -> list[str]:
    """The names of the sentences about the upload that the upload page shows."""
    content = client.get(f"{LIST}{image.pk}/upload/").content.decode()
    found = re.findall(r'data-when="(\w+)"([^>]*)>', content)
    return [name for name, attributes in found if "hidden" not in attributes]


def phase(client: Client, image: Image) -> str:
    """The phase of an image's upload, as open upload pages poll it."""
    text: str = client.get(f"{LIST}{image.pk}/upload/live/").json()["phase"]
    return text


def test_an_upload_that_nobody_sends_has_stopped(root: Client, make_image: Any) -> None:
    image = make_image()
    assert (sentences(root, image), phase(root, image)) == (["new"], "")

    create(root, image)

    assert (sentences(root, image), phase(root, image)) == (["stopped"], "stopped")


def test_an_upload_that_is_being_sent_is_not_said_to_have_stopped(
    root: Client, make_image: Any
) -> None:
    image = make_image()
    create(root, image)
    # As while a request is sending.
    upload = Transfer.objects.get()
    chunk = UploadChunk.objects.create(transfer=upload, start=0, key="arriving")

    assert (sentences(root, image), phase(root, image)) == (["sending"], "sending")
    chunk.delete()
    assert phase(root, image) == "stopped"


def test_the_page_of_an_upload_that_is_complete_asks_for_no_file(
    root: Client, make_image: Any
) -> None:
    image = make_image()
    create(root, image)
    # As while the data is verified and stored.
    Transfer.objects.update(bytes_received=len(DATA))
    Image.objects.update(status=Status.IMPORTING)

    assert (sentences(root, image), phase(root, image)) == (["importing"], "importing")
    page = root.get(f"{LIST}{image.pk}/change/").content
    assert b"Resume upload" not in page


def test_the_image_leads_to_the_upload(root: Client, make_image: Any) -> None:
    image = make_image()
    page = f"{LIST}{image.pk}/change/"
    assert b"Upload a file" in root.get(page).content

    create(root, image)

    assert b"Resume upload" in root.get(page).content


def test_the_page_says_how_long_an_upload_may_pause(
    root: Client, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_UPLOAD_EXPIRY = 3 * 3600

    content = root.get(f"{LIST}{make_image().pk}/upload/").content.decode()

    assert "kept for 3\N{NO-BREAK SPACE}hours." in content


def test_a_file_name_cannot_break_out_of_the_page(
    root: Client, make_image: Any
) -> None:
    image = make_image()
    create(
        root, image, **{"Upload-Metadata": "filename Ij48c2NyaXB0PmEoKTwvc2NyaXB0Pg=="}
    )

    content = root.get(f"{LIST}{image.pk}/upload/").content

    assert b"<script>a()" not in content
    assert b"&lt;script&gt;a()" in content


def test_the_page_leads_back_to_the_image_as_in_the_list_it_was_opened_from(
    root: Client, make_image: Any
) -> None:
    image = make_image()
    of_list = "?_changelist_filters=view%3Dempty&at=0"

    content = root.get(f"{LIST}{image.pk}/upload/{of_list}").content.decode()

    back = escape(f"{LIST}{image.pk}/change/{of_list}")
    assert content.count(f'href="{back}"') == 2  # in the path, and beside the buttons
    assert f'data-done="{back}"' in content


def test_an_image_whose_data_is_to_be_downloaded_offers_no_upload(
    root: Client, make_image: Any
) -> None:
    image = make_image()
    # As API v1 asks for a web download: the image stays queued meanwhile.
    Transfer.objects.create(
        image=image, kind="copy", status="waiting", store="local", key="waits"
    )

    page = root.get(f"{LIST}{image.pk}/change/").content.decode()
    assert "Upload a file" not in page
    assert "Web download waits for a background worker." in page
    refused = root.get(f"{LIST}{image.pk}/upload/").content.decode()
    assert "A background worker will download the data." in refused
