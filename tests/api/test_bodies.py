"""Every route, with a body that it does not expect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admindocs.views import simplify_regex
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern

from imagecatalog.identity import tokens
from imagecatalog.identity.api import urls as identity
from images.api.v1 import urls as v1
from images.api.v2 import urls as v2
from images.models import Transfer

REFUSED = b"A body is not expected with this request."
# Where a client may send a body, which only these routes read.
WITH_BODY = {
    "POST /v2/images",
    "PATCH /v2/images/<image_id>",
    "PUT /v2/images/<image_id>/file",
    "POST /v2/images/<image_id>/members",
    "PUT /v2/images/<image_id>/members/<member_id>",
    "PATCH /v2/images/<image_id>/uploads/<upload_id>",
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
    route: str, api: Any, make_image: Any
) -> None:
    method, path = route.split()
    user, image = User.objects.get_or_create(username="alice")[0], make_image("saving")
    ids = {"user_id": user.pk, "upload_id": Transfer.objects.get().pk, "tag": "a"}
    known = NAMED | {"image_id": image.pk, "member_id": "project-b"} | ids
    client = api.member
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
