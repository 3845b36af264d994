"""Headers that tell browsers and caches how to treat every response."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from images.access import Caller

pytestmark = pytest.mark.django_db

EVERYWHERE = (
    "/v2/images",
    "/v1/images",
    "/v2/nothing",
    "/identity/v3",
    "/admin/login/",
)


@pytest.mark.parametrize("path", EVERYWHERE)
def test_no_browser_guesses_a_content_type(
    path: str, client_of: Any, member: Caller
) -> None:
    assert client_of(member).get(path)["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/v2/images", "/v1/images", "/identity/v3/projects"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_no_cache_keeps_json(
    path: str, signed_in: bool, client_of: Any, member: Caller
) -> None:
    client = client_of(member) if signed_in else Client()

    answer = client.get(path, headers={"Accept": "application/json"})

    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"


def test_data_has_no_rule_for_caches(
    make_image: Any, client_of: Any, member: Caller
) -> None:
    image = make_image("active")

    answer = client_of(member).get(f"/v2/images/{image.pk}/file")

    assert answer.status_code == 200
    assert "Cache-Control" not in answer


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://images.example.org", "max-age=31536000"),
        ("http://images.example.org", None),
        ("", None),
    ],
)
def test_browsers_stay_on_tls_where_the_service_has_it(
    path: str, url: str, expected: str | None, settings: Any
) -> None:
    settings.IMAGECATALOG_PUBLIC_URL = url

    answer = Client().get(path)

    assert answer.headers.get("Strict-Transport-Security") == expected
