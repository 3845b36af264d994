"""Behind keystonemiddleware: what it has written into the environment says who asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from imagecatalog.identity import keystone
from images.models import Event

pytestmark = pytest.mark.django_db

Behind = Callable[..., Client]


@pytest.fixture
def behind(settings: Any) -> Behind:
    """``behind(roles="member")``: a client whose requests a middleware has looked at."""
    settings.IMAGECATALOG_AUTH = "keystone"
    settings.IMAGECATALOG_KEYSTONE_URL = "https://keystone.example.org/v3"

    def client(**given: str) -> Client:
        found = {"identity_status": "Confirmed", "user_id": "u1", "project_id": "p1"}
        environ = {f"HTTP_X_{name.upper()}": it for name, it in (found | given).items()}
        return Client(**environ)

    return client


def test_who_lacks_the_middleware_is_told_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "keystonemiddleware", None)

    with pytest.raises(ImproperlyConfigured, match="requirements.txt"):
        keystone.protect(None)


@pytest.mark.parametrize(
    ("roles", "status"),
    [
        ("member", 201),
        ("reader,member", 201),
        ("reader, Member", 201),
        ("admin", 201),
        ("reader", 403),
        ("service", 403),
        ("", 403),
    ],
)
def test_roles_count(behind: Behind, roles: str, status: int) -> None:
    answer = behind(roles=roles).post("/v2/images", {}, "application/json")

    assert answer.status_code == status


def test_an_image_belongs_to_the_token_s_project(behind: Behind) -> None:
    made = behind(roles="member").post("/v2/images", {}, "application/json")

    assert made.json()["owner"] == "p1"
    assert Event.objects.get().actor == "u1"


@pytest.mark.parametrize("project", ["", None])
def test_a_token_without_a_project_is_nobody_s(
    behind: Behind, project: str | None
) -> None:
    client = behind(roles="admin", project_id=project or "")

    assert client.get("/v2/images").status_code == 403


@pytest.mark.parametrize(
    "found",
    [
        {"identity_status": "Invalid"},
        {"identity_status": ""},
        {"identity_status": "confirmed"},
    ],
)
def test_what_is_not_confirmed_is_401(behind: Behind, found: dict[str, str]) -> None:
    answer = behind(roles="admin", **found).get("/v2/images")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        'Keystone uri="https://keystone.example.org/v3"'
    )


@pytest.mark.parametrize("status", ["Confirmed", "Invalid"])
def test_a_service_token_may_come_along(behind: Behind, status: str) -> None:
    client = behind(
        roles="reader", service_identity_status=status, service_roles="admin"
    )

    assert client.get("/v2/images").status_code == 200
    made = client.post("/v2/images", {}, "application/json")
    assert made.status_code == 403  # its roles are not the user's


def test_other_ways_to_sign_in_are_closed(behind: Behind, settings: Any) -> None:
    settings.IMAGECATALOG_STATIC_KEYS = ("alice:key",)
    client = behind(identity_status="Invalid")

    for headers in (
        {"X-Auth-Token": "key"},
        {"Authorization": "Bearer key"},
        {"Authorization": "Basic YTpi"},
    ):
        assert client.get("/v2/images", headers=headers).status_code == 401
