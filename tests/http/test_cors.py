"""Pages of other sites in a browser: only those of the origins that the operator lists."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from images.access import Caller

pytestmark = pytest.mark.django_db

LISTED, OTHER = "https://dashboard.example.org", "https://evil.example.org"
WANTED = "content-type,x-auth-token,x-image-meta-property-os_type"


@pytest.fixture(autouse=True)
def listed(settings: Any) -> None:
    settings.IMAGECATALOG_CORS_ORIGINS = (LISTED,)


def preflight(path: str, origin: str = LISTED, headers: str = WANTED) -> Any:
    return Client().options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": headers,
        },
    )


def cors_headers(response: Any) -> dict[str, str]:
    return {
        name: value
        for name, value in response.headers.items()
        if name.startswith("Access-Control")
    }


@pytest.mark.parametrize(
    "path",
    [
        "/v2/images/x/file",
        "/v1/images",
        "/identity/v3/auth/tokens",
        "/",
        "/v2/x/uploads",
    ],
)
def test_a_listed_page_may_ask_without_signing_in(path: str) -> None:
    response = preflight(path)

    assert (response.status_code, response.content) == (204, b"")
    assert cors_headers(response) == {
        "Access-Control-Allow-Origin": LISTED,
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "Access-Control-Allow-Headers": WANTED,
        "Access-Control-Max-Age": "3600",
    }
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("headers", ["", "a\tb", "a,,b", "a;b", "ä"])
def test_only_names_of_headers_are_repeated(headers: str) -> None:
    response = preflight("/v2/images", headers=headers)

    assert response.headers["Access-Control-Allow-Origin"] == LISTED
    assert "Access-Control-Allow-Headers" not in response.headers


@pytest.mark.parametrize(
    "origin", [OTHER, "null", f"{LISTED}.evil.example", "http://dashboard.example.org"]
)
def test_the_page_of_another_origin_may_nothing(
    origin: str, client_of: Any, member: Caller
) -> None:
    response = client_of(member).get("/v2/images", headers={"Origin": origin})

    assert response.status_code == 200
    assert cors_headers(response) == {}
    assert "Origin" in response.headers["Vary"]
    assert cors_headers(preflight("/v2/images", origin)) == {}


@pytest.mark.parametrize(("path", "code"), [("/v2/images", 200), ("/v2/images/x", 404)])
def test_a_listed_page_reads_answers_and_refusals(
    path: str, code: int, client_of: Any, member: Caller
) -> None:
    response = client_of(member).get(path, headers={"Origin": LISTED})

    assert response.status_code == code
    assert response.headers["Access-Control-Allow-Origin"] == LISTED
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-OpenStack-Request-ID", "X-Subject-Token", "Upload-Offset"} <= {*exposed}
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_page_is_told_that_its_sign_in_is_missing() -> None:
    response = Client().get("/v2/images", headers={"Origin": LISTED})

    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == LISTED


def test_the_admin_is_for_its_own_pages_only() -> None:
    assert cors_headers(preflight("/admin/login/")) == {}
    response = Client().get("/admin/login/", headers={"Origin": LISTED})
    assert cors_headers(response) == {}


def test_nothing_is_said_without_the_setting(settings: Any) -> None:
    settings.IMAGECATALOG_CORS_ORIGINS = ()

    response = preflight("/v2/images")

    assert response.status_code == 200
    assert cors_headers(response) == {}
    assert "Vary" not in response.headers
