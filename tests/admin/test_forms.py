"""Forms: whose are read, how large they may be, and that none brings a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admindocs.views import simplify_regex
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import URLPattern

from imagecatalog import middleware
from images.http import streaming
from images.models import Image
from tests.bodies import Unread

FORMS = {
    "application/x-www-form-urlencoded": "application/x-www-form-urlencoded",
    "multipart/form-data": "multipart/form-data; boundary=b",
}


def pages(patterns: Any, above: str) -> Iterator[str]:
    for pattern in patterns:
        path = above + simplify_regex(str(pattern.pattern)).removeprefix("/")
        if isinstance(pattern, URLPattern):
            yield re.sub(r"<\w+>", "1", path)
        else:
            yield from pages(pattern.url_patterns, path)


PAGES = sorted({*pages(admin.site.urls[0], "/admin/")} - {"/admin/login/"})


@pytest.fixture(autouse=True)
def _nothing_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "drain", lambda request: None)


def send(client: Client, path: str, size: int = 5, form: str = "") -> Any:
    """Send a form of which nobody has read anything, and return the answer with its body."""
    body = Unread()
    media_type = FORMS[form or "multipart/form-data"]
    environ: dict[str, Any] = {"wsgi.input": body, "CONTENT_LENGTH": str(size)}
    return client.post(path, content_type=media_type, **environ), body


def test_the_pages_of_the_admin_are_found() -> None:
    assert "/admin/images/image/add/" in PAGES
    assert "/admin/auth/user/1/password/" in PAGES
    assert len(PAGES) > 40


@pytest.mark.django_db
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", PAGES)
def test_the_form_of_a_stranger_is_not_read(
    path: str, form: str, client: Client
) -> None:
    response, body = send(client, path, form=form)

    assert (response.status_code, body.is_read) == (302, False)
    assert response["Location"].startswith("/admin/login/?next=/admin/")


@pytest.mark.parametrize("role", ["", "viewer"])
def test_the_data_of_who_may_not_upload_is_not_read(
    role: str, signed_in: Callable[..., Client], make_image: Callable[..., Image]
) -> None:
    client, body = signed_in(role) if role else Client(), Unread()
    path = f"/admin/images/image/{make_image().pk}/uploads/{uuid4()}"
    environ: dict[str, Any] = {"wsgi.input": body, "CONTENT_LENGTH": "5"}
    media_type = "application/offset+octet-stream"

    response = client.patch(path, content_type=media_type, **environ)

    assert (response.status_code, body.is_read) == (403, False)


@pytest.mark.django_db
def test_who_signs_out_twice_is_not_led_to_the_sign_out(client: Client) -> None:
    response = client.post("/admin/logout/", {"csrfmiddlewaretoken": "x"})

    assert response["Location"] == "/admin/login/?next=/admin/"


@pytest.mark.django_db
@pytest.mark.parametrize("form", FORMS)
def test_a_sign_in_is_small(form: str, client: Client) -> None:
    response, body = send(client, "/admin/login/", middleware.SIGN_IN_FORM + 1, form)

    assert (response.status_code, body.is_read) == (413, False)
    assert "more than 65,536 bytes" in response.content.decode()


@pytest.mark.parametrize("form", FORMS)
def test_other_forms_are_larger_and_have_a_limit(form: str, root: Client) -> None:
    largest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    response, body = send(root, "/admin/images/image/add/", largest + 1, form)

    assert (response.status_code, body.is_read) == (413, False)


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/images/image/add/"])
def test_no_form_brings_a_file(path: str, root: Client) -> None:
    file = SimpleUploadedFile("disk.raw", b"x" * 1000)

    response = root.post(path, {"name": "disk", "file": file})

    assert response.status_code == 400
    assert "This page takes no files." in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/", "/admin/login/"])
def test_cookies_have_a_limit(path: str, client: Client) -> None:
    most = "a=" + "b" * (middleware.COOKIES - 2)

    assert client.get(path, headers={"Cookie": most}).status_code in (200, 302)
    refused = client.get(path, headers={"Cookie": f"{most}b"})
    assert refused.status_code == 431
    assert "Delete those of this site" in refused.content.decode()


@pytest.mark.django_db
def test_the_api_does_not_care_for_cookies(client: Client) -> None:
    response = client.get("/versions", headers={"Cookie": "a=" + "b" * 5000})

    assert response.status_code == 200
