from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import RequestFactory
from django.test.client import encode_multipart

from imagecatalog.wsgi import application


@pytest.fixture(autouse=True)
def connection_stays() -> Iterator[None]:
    """Django's test client does the same: a request would end the test's transaction."""
    request_started.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)


def run(environ: dict[str, Any]) -> tuple[str, bytes]:
    status: list[str] = []
    response = application(environ, lambda line, headers: status.append(line))
    return status[0], b"".join(response)


def ask(path: str, content_type: str) -> tuple[str, bytes]:
    return run(RequestFactory().get(path).environ | {"CONTENT_TYPE": content_type})


@pytest.mark.parametrize(
    "parameter",
    [
        "Charset=base64",
        "Charset=utf-16",
        "Charset=latin-1",
        "Charset=nonsense",
        "Charset=",
        "charset =utf-16",
        "charset\t=base64",
        "charset*=utf-8''utf-16",
        "charset*0=utf-; charset*1=16",
        'x="; charset=utf-16',
        "x*=bogus''%41",
        "x*=idna''%ff",
    ],
)
def test_text_is_utf_8_whatever_a_client_declares(
    parameter: str, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_AUTH = "none"
    make_image(name="é")
    media_type = f"application/octet-stream; {parameter}"

    status, body = ask("/v2/images?name=%C3%A9", media_type)

    assert status == "200 OK"
    assert len(json.loads(body)["images"]) == 1


@pytest.mark.parametrize(
    "long", ['a/b; x="' + ";" * 32_000, "a" * 60_000, ";" * 60_000]
)
def test_nothing_long_is_left_to_be_parsed(long: str) -> None:
    environ = RequestFactory().get("/healthcheck").environ | {"CONTENT_TYPE": long}

    assert run(environ)[0] == "200 OK"
    assert len(environ["CONTENT_TYPE"]) < 300


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("Application/Octet-Stream ; charset =binary", "204 No Content"),
        ("application/json; charset=utf-8", "415 Unsupported Media Type"),
        ("multipart/form-data; boundary=x", "415 Unsupported Media Type"),
        ("", "415 Unsupported Media Type"),
    ],
)
def test_views_see_the_media_type(
    content_type: str, status: str, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_AUTH = "none"
    path = f"/v2/images/{make_image().pk}/file"
    environ = RequestFactory().put(path, b"data").environ

    answer, body = run(environ | {"CONTENT_TYPE": content_type})

    assert answer == status
    if status.startswith("415"):
        assert b"Content-Type: application/octet-stream" in body


@pytest.mark.parametrize(
    "parameters",
    [
        "boundary={}",
        'boundary="{}"',
        "Boundary={} ; charset=utf-8",
        "charset=utf-16; boundary={}",
        "x*=bogus''%41;boundary={}",
    ],
)
@pytest.mark.parametrize("boundary", ["----WebKitFormBoundary7MA4", "a:b=c? d"])
def test_forms_of_the_admin_arrive(parameters: str, boundary: str, db: None) -> None:
    User.objects.create_superuser("root", password="x" * 12)
    token = "t" * 32
    fields = {"username": "root", "password": "x" * 12, "csrfmiddlewaretoken": token}
    body = encode_multipart(boundary, fields)
    request = RequestFactory(HTTP_COOKIE=f"csrftoken={token}")
    environ = request.post("/admin/login/", body, "text/plain").environ
    media_type = "multipart/form-data; " + parameters.format(boundary)

    status, _ = run(environ | {"CONTENT_TYPE": media_type})

    assert status == "302 Found"
