from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import setup_testing_defaults

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
    environ = RequestFactory().get("/versions").environ | {"CONTENT_TYPE": long}

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


INTERFACES = ("/v2/images", "/v1/images", "/identity/v3/users", "/admin/login", "/")
# An é of Latin-1, the beginning of a character, a surrogate, and a slash in two bytes.
BROKEN = ("caf%E9", "a%C3", "%ED%A0%80", "%C0%AF")


def get(url: str) -> tuple[str, bytes]:
    path, _, query = url.partition("?")
    decoded = unquote_to_bytes(path).decode("latin-1")
    environ = {"PATH_INFO": decoded, "QUERY_STRING": query, "REMOTE_ADDR": "::1"}
    setup_testing_defaults(environ)
    return run(environ)


@pytest.mark.django_db
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("path", INTERFACES)
@pytest.mark.parametrize("place", ["{}/{}", "{}?{}=a", "{}?name={}", "{}?a=b&{}"])
def test_a_url_that_is_not_utf_8_is_refused_by_every_interface(
    place: str, path: str, broken: str
) -> None:
    status, body = get(place.format(path, broken))

    assert status == "400 Bad Request"
    assert b"The URL is not UTF-8." in body


URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


@pytest.mark.django_db
@pytest.mark.parametrize("media_type", [URLENCODED, MULTIPART])
def test_a_form_that_is_cut_off_is_refused(media_type: str) -> None:
    class CutOff(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError

    request = RequestFactory().post("/admin/login/", b"a=b", media_type)

    status, body = run(request.environ | {"wsgi.input": CutOff()})

    assert (status, b"cut off" in body) == ("400 Bad Request", True)


PART = b'--b\r\nContent-Disposition: form-data; name="username"\r\n\r\n%b\r\n--b--\r\n'


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        (URLENCODED, b"username=caf%E9"),
        (URLENCODED, b"caf\xe9=x"),
        (URLENCODED, b"a=b&c=%ED%A0%80"),
        (MULTIPART, PART % b"caf\xe9"),
    ],
)
def test_a_form_that_is_not_utf_8_is_refused(media_type: str, form: bytes) -> None:
    request = RequestFactory().post("/admin/login/", form, media_type)

    status, body = run(request.environ)

    assert status == "400 Bad Request"
    assert b"The form is not UTF-8." in body


@pytest.mark.django_db
def test_the_identity_api_refuses_it_in_its_own_form() -> None:
    _, body = get("/identity/v3/users/%E9")

    assert json.loads(body)["error"]["code"] == 400


def test_a_percent_sign_in_a_url_is_text(make_image: Any, settings: Any) -> None:
    settings.IMAGECATALOG_AUTH = "none"
    image = make_image(tags=["caf%E9"], name="é %E9")

    found = get("/v2/images?name=%C3%A9+%25E9&tag=caf%25E9")
    nothing = get(f"/v2/images/{image.pk}/tags/caf%25E9")

    assert [row["id"] for row in json.loads(found[1])["images"]] == [image.pk]
    assert nothing[0] == "405 Method Not Allowed"
