"""Every route, with a body that it does not expect, and with one of a stranger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admindocs.views import simplify_regex
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern

from imagecatalog.identity import tokens
from imagecatalog.identity.api import urls as identity
from images.api.v1 import urls as v1
from images.api.v2 import urls as v2
from images.api.v2.patch import V2_1
from images.http import request_body, streaming
from images.models import Transfer
from tests.bodies import Unread

OCTETS = "application/octet-stream"
REFUSED = b"A body is not expected with this request."
# Where a client may send a body, which only these routes read.
WITH_BODY = {
    "POST /v2/images",
    "PATCH /v2/images/<image_id>",
    "PUT /v2/images/<image_id>/file",
    "POST /v2/images/<image_id>/locations",
    "POST /v2/images/<image_id>/import",
    "POST /v2/tasks",
    "PUT /v2/images/<image_id>/stage",
    "POST /v2/images/<image_id>/members",
    "PUT /v2/images/<image_id>/members/<member_id>",
    "PATCH /v2/images/<image_id>/uploads/<upload_id>",
    "POST /v2/metadefs/namespaces",
    "PUT /v2/metadefs/namespaces/<namespace>",
    "POST /v2/metadefs/namespaces/<namespace>/objects",
    "PUT /v2/metadefs/namespaces/<namespace>/objects/<name>",
    "POST /v2/metadefs/namespaces/<namespace>/properties",
    "PUT /v2/metadefs/namespaces/<namespace>/properties/<name>",
    "POST /v2/metadefs/namespaces/<namespace>/resource_types",
    "POST /v2/metadefs/namespaces/<namespace>/tags",
    "POST /v2/metadefs/namespaces/<namespace>/tags/<name>",
    "PUT /v2/metadefs/namespaces/<namespace>/tags/<name>",
    "POST /v1/images",
    "POST /v1/",
    "PUT /v1/images/<image_id>",
    "PUT /v1/images/<image_id>/members",
    "PUT /v1/images/<image_id>/members/<member_id>",
    "POST /identity/v3/auth/tokens",
    "POST /identity/v3/users/<user_id>/application_credentials",
}
IGNORED = {"GET /v2/images"}
NAMED = {"name": "image", "role_id": "member", "project_id": "project-a"}
INTERFACES = {"/v2": v2, "/v1": v1, "/identity": identity}


def routes() -> Iterator[str]:
    """``METHOD path`` for each method of each route."""
    for prefix, module in INTERFACES.items():
        for pattern in module.urlpatterns:
            assert isinstance(pattern, URLPattern)
            path = simplify_regex(str(pattern.pattern)).replace("//", "/")
            for method in methods(pattern.callback):
                yield f"{method} {prefix}{path}"


def methods(view: Any) -> list[str]:
    names = getattr(view, "actions", None) or view.cls.http_method_names
    return [name.upper() for name in names if view.cls.__name__ != "UnknownPathView"]


ROUTES = sorted({*routes()} - WITH_BODY - IGNORED)


def test_the_routes_that_take_a_body_exist() -> None:
    assert {*routes()} >= WITH_BODY | IGNORED


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_a_route_does_not_expect_is_refused(
    route: str, api: Any, make_image: Any, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_CACHE_DIR = str(tmp_path / "cache")
    method, path = route.split()
    user, image = User.objects.get_or_create(username="alice")[0], make_image("saving")
    ids = {"user_id": user.pk, "upload_id": Transfer.objects.get().pk, "tag": "a"}
    known = NAMED | {"image_id": image.pk, "member_id": "project-b"} | ids
    needs_admin = path.endswith("/restore") or path.startswith("/v2/cache")
    client = api.admin if needs_admin else api.member
    if path.startswith("/identity"):
        text, _ = tokens.issue(user.pk, "project-a", ["password"]) or ("", None)
        client = Client(headers={"X-Auth-Token": text, "X-Subject-Token": text})
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "10"}

    filled = re.sub(r"<(\w+)>", lambda name: str(known.get(name[1], "x")), path)
    response = client.generic(method, filled, b'["x"]', headers=tus)

    assert response.status_code == 400
    assert method == "HEAD" or REFUSED in response.content


@pytest.mark.parametrize("path", ["/versions", "/", "/nothing", "/healthcheck"])
def test_so_is_one_where_no_sign_in_is_needed(path: str, client: Client) -> None:
    response = client.generic("GET", path, b"x")

    assert (response.status_code, REFUSED in response.content) == (400, True)
    malformed = client.get(path, headers={"Content-Length": "9" * 40})
    assert malformed.status_code == 400


# Whoever has not signed in


@pytest.fixture
def _nothing_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discard nothing of a body: that happens after the answer is decided."""
    monkeypatch.setattr(streaming, "drain", lambda request: None)


ANONYMOUS = sorted({*routes()} - {"POST /identity/v3/auth/tokens"})
FRAMINGS = {
    "length": {"CONTENT_LENGTH": "5"},
    "chunked": {
        "CONTENT_LENGTH": "",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
    },
}


def send_unread(client: Client, route: str, framing: str, **more: Any) -> Any:
    method, path = route.split()
    known = {"image_id": uuid4(), "upload_id": uuid4(), "name": "image"}
    filled = re.sub(r"<(\w+)>", lambda name: str(known.get(name[1], "x")), path)
    body = Unread()
    environ = FRAMINGS[framing] | {"wsgi.input": body}
    response = client.generic(method, filled, **environ, **more)
    return response, body


@pytest.mark.django_db
@pytest.mark.usefixtures("_nothing_drained")
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("route", ANONYMOUS)
def test_the_body_of_a_stranger_is_not_read(
    route: str, framing: str, client: Client
) -> None:
    response, body = send_unread(client, route, framing)

    is_open = route in ("GET /identity/", "GET /identity/v3/")
    assert response.status_code == (400 if is_open else 401)
    assert not body.is_read


# Of a caller who may do nothing with it


@pytest.mark.usefixtures("_nothing_drained")
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("route", "code"),
    [
        ("POST /v2/images", 403),
        ("PATCH /v2/images/<image_id>", 404),
        ("PUT /v2/images/<image_id>/file", 404),
        ("POST /v2/images/<image_id>/members", 404),
        ("PUT /v2/images/<image_id>/members/<member_id>", 404),
        ("PUT /v2/images/<image_id>/tags/x", 404),
        ("POST /v2/images/<image_id>/actions/deactivate", 404),
        ("POST /v2/images/<image_id>/actions/restore", 404),
        ("POST /v2/images/<image_id>/uploads", 404),
        ("PATCH /v2/images/<image_id>/uploads/<upload_id>", 404),
        ("POST /v1/images", 403),
        ("PUT /v1/images/<image_id>", 404),
        ("PUT /v1/images/<image_id>/members", 404),
        ("PUT /v1/images/<image_id>/members/<member_id>", 404),
    ],
)
def test_a_body_is_not_read_before_the_caller_is_known_to_be_allowed(
    route: str, code: int, framing: str, api: Any
) -> None:
    tus = "uploads/" in route
    media_type = "application/offset+octet-stream" if tus else OCTETS
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "5",
        "Upload-Offset": "0",
        "X-Image-Meta-Disk-Format": "raw",
        "X-Image-Meta-Container-Format": "bare",
    }

    response, body = send_unread(
        api.reader, route, framing, CONTENT_TYPE=media_type, headers=headers
    )

    assert (response.status_code, body.is_read) == (code, False)


# Too large a body


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("route", "limit"),
    [
        ("POST /v2/images", request_body.LIMIT),
        ("PATCH /v2/images/{image}", request_body.LIMIT),
        ("POST /v2/images/{image}/members", request_body.SMALL),
        ("PUT /v2/images/{image}/members/project-b", request_body.SMALL),
        ("PUT /v1/images/{image}/members", request_body.LIMIT),
        ("PUT /v1/images/{image}/members/project-b", request_body.SMALL),
        ("POST /identity/v3/auth/tokens", request_body.SMALL),
    ],
)
def test_a_body_has_the_limit_of_its_path(
    route: str, limit: int, framing: str, api: Any, make_image: Any
) -> None:
    method, path = route.split()
    image = make_image("active", visibility="shared")
    image.members.create(member="project-b")
    body = BytesIO(b" " * (limit + 1))
    environ = FRAMINGS[framing] | {"wsgi.input": body}
    if framing == "length":
        environ["CONTENT_LENGTH"] = str(limit + 1)

    client = api.admin if path.endswith("project-b") else api.member
    response = client.generic(
        method, path.format(image=image.pk), content_type=V2_1, **environ
    )

    assert response.status_code == 413
    assert f"exceeds {limit} bytes" in response.content.decode()


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"0," * request_body.MAX_VALUES + b"0]",
        b"[" + b"[]," * request_body.MAX_VALUES + b"0]",
        b"[" + b"[[[0]]]," * (request_body.MAX_VALUES // 4) + b"[[[0]]]]",
        b"{"
        + b",".join(b'"k%d":0' % key for key in range(request_body.MAX_VALUES + 1))
        + b"}",
    ],
    ids=["numbers", "lists", "nested", "objects"],
)
def test_a_body_has_not_too_many_values(body: bytes, api: Any) -> None:
    response = api.member.post("/v2/images", body, content_type="application/json")

    assert response.status_code == 413
    assert b"more than 10000 values" in response.content
