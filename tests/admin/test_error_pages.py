"""Error pages are of one family: each says what to do, with the id of the request to quote."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.admin.conftest import LIST

REQUEST = "req-of-a-test"
SIGN_IN = "/admin/login/"


def page(response: Any, status: int, title: str) -> str:
    """The page, which has the name of the service, this title and the id of its request."""
    text: str = response.content.decode()
    assert response.status_code == status
    assert f"<h1>{title}</h1>" in text
    assert '<div id="site-name">' in text
    assert re.search(f'<code class="id">{REQUEST}</code>', text)
    return text


@pytest.fixture
def root(signed_in: Callable[..., Client]) -> Client:
    return signed_in(
        enforce_csrf_checks=True,
        raise_request_exception=False,
        headers={"X-Openstack-Request-Id": REQUEST},
    )


@pytest.fixture
def stranger(db: None) -> Client:
    return Client(enforce_csrf_checks=True, headers={"X-Openstack-Request-Id": REQUEST})


def test_a_malformed_request(root: Client) -> None:
    text = page(root.get(f"{LIST}?q=%00"), 400, "The request was refused")

    assert "malformed or too long. Go back" in text
    assert "Back to the overview" in text


def test_a_form_of_an_old_page(root: Client) -> None:
    root.cookies["csrftoken"] = "a" * 32
    response = root.post(f"{LIST}add/metadata/?x=1", {"name": "typed"})

    text = page(response, 403, "The form was not accepted")

    assert "Nothing was changed. You have signed in again" in text
    assert f'href="{LIST}add/metadata/?x=1">Open the page again' in text
    assert "DEBUG" not in text


def test_a_form_without_cookies(stranger: Client) -> None:
    form = {"username": "root", "password": "x"}

    text = page(stranger.post(SIGN_IN, form), 403, "The form was not accepted")

    assert "Allow cookies for this site" in text
    assert 'class="menu"' not in text


def test_a_form_of_another_site(root: Client) -> None:
    origin = {"Origin": "https://elsewhere.example.org"}

    text = page(
        root.post(f"{LIST}add/metadata/", headers=origin),
        403,
        "The form was not accepted",
    )

    assert "IMAGECATALOG_PUBLIC_URL" in text


def test_the_page_of_a_lockout_has_the_frame_of_the_sign_in(
    stranger: Client, settings: Any
) -> None:
    User.objects.create_superuser("root", password="correct horse battery staple")
    settings.AXES_FAILURE_LIMIT = 1
    token = stranger.get(SIGN_IN).cookies["csrftoken"].value
    form = {"username": "root", "password": "wrong", "csrfmiddlewaretoken": token}
    stranger.post(SIGN_IN, form)

    text = page(stranger.post(SIGN_IN, form), 429, "Please wait")

    assert "Back to the overview" not in text
    assert "permission" not in text
    assert ' login"' in text


def test_a_failure_of_the_service(root: Client, monkeypatch: Any) -> None:
    def fail(*args: Any) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr("images.admin.dashboard.context", fail)

    text = page(root.get("/admin/"), 500, "Something went wrong")

    assert "tell an administrator the id of the request" in text
    assert "secret" not in text


def test_cookies_that_are_too_large(stranger: Client) -> None:
    stranger.cookies["large"] = "x" * 5000

    page(stranger.get(SIGN_IN), 431, "The request was refused")


def test_a_url_that_is_not_utf_8(stranger: Client) -> None:
    page(stranger.get("/admin/?a=%FF"), 400, "The request was refused")


def test_a_form_that_is_not_utf_8(root: Client) -> None:
    form = "application/x-www-form-urlencoded"

    response = root.post(f"{LIST}add/metadata/", b"a=\xff", content_type=form)

    page(response, 400, "The request was refused")


def test_the_apis_keep_their_errors(client: Client) -> None:
    response = client.get("/v2/images?name=%FF", headers={"Accept": "application/json"})

    assert response.json()["code"] == "400 Bad Request"


def test_the_address_of_the_sign_out_asks(root: Client) -> None:
    response = root.get("/admin/logout/")

    assert response.status_code == 200
    assert '<input type="submit" class="default" value="Log out">' in (
        response.content.decode()
    )


def test_an_address_without_its_last_slash_is_found(root: Client) -> None:
    response = root.get(f"{LIST}add?x=1")

    assert (response.status_code, response["Location"]) == (302, f"{LIST}add/?x=1")
    assert root.get("/admin/no-such-page").status_code == 404


def test_a_missing_permission_is_told_with_the_groups_that_have_it(
    signed_in: Callable[..., Client], make_image: Callable[..., Any]
) -> None:
    image = make_image("active")
    own_id = {"X-Openstack-Request-Id": REQUEST}
    viewer = signed_in("viewer", headers=own_id)

    response = viewer.get(f"{LIST}{image.pk}/move/deactivate/")

    text = page(response, 403, "Not allowed")
    assert "Members of these groups can do it: catalogue manager, operator." in text
