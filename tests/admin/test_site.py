"""The admin is there, signs people in, and costs the API nothing."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client

from imagecatalog.identity import credentials, throttle, verification
from imagecatalog.identity.models import AttemptCount
from imagecatalog.identity.origin import Origin

PASSWORD = "correct horse battery staple"


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


def sign_in(client: Client, password: str = PASSWORD, name: str = "root") -> Any:
    form = {"username": name, "password": password, "next": "/admin/"}
    return client.post("/admin/login/", form)


def test_who_is_not_signed_in_is_sent_to_the_sign_in(client: Client) -> None:
    response = client.get("/admin/images/image/")

    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_a_superuser_signs_in(client: Client, root: User) -> None:
    assert sign_in(client)["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_the_sixth_guess_of_a_password_is_not_looked_at(
    client: Client, root: User
) -> None:
    for _ in range(5):
        sign_in(client, "a guess")

    response = sign_in(client)
    assert (response.status_code, response["Retry-After"]) == (429, "900")
    assert "Try again in 15 minutes." in response.content.decode()
    assert client.get("/admin/").status_code == 302


def test_attempts_that_are_not_looked_at_leave_no_trace(
    client: Client, root: User
) -> None:
    for _ in range(5):
        sign_in(client, "a guess")
    before = AccessAttempt.objects.values().get()

    for _ in range(3):
        assert sign_in(client, "a guess").status_code == 429

    assert AccessAttempt.objects.values().get() == before


# Guesses are counted with those of the APIs


def test_many_names_are_tried_only_so_often_from_one_address(
    client: Client, root: User
) -> None:
    for number in range(throttle.BY_ADDRESS):
        assert sign_in(client, "a guess", f"user-{number}").status_code == 200

    response = sign_in(client)
    assert response.status_code == 429
    assert "too many failed attempts to sign in" in response.content.decode()


def test_guesses_at_the_api_count_at_the_admin(client: Client, root: User) -> None:
    origins = [Origin(f"10.0.2.{number}") for number in range(throttle.BY_NAME)]
    for origin in origins:
        assert credentials.by_password("root", "a guess", origin) is None

    assert sign_in(client).status_code == 429


def test_guesses_do_not_lock_out_an_address_that_signed_in_before(
    client: Client, root: User
) -> None:
    assert sign_in(client).status_code == 302
    for number in range(throttle.BY_NAME):
        credentials.by_password("root", "a guess", Origin(f"10.0.2.{number}"))

    assert sign_in(client).status_code == 302
    assert not AttemptCount.objects.filter(right_at__gt=0, count__gt=0).exists()


def change_password(client: Client, old: str) -> Any:
    new = "another horse battery staple"
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/admin/password_change/", form)


def test_an_old_password_is_guessed_only_so_often(client: Client, root: User) -> None:
    sign_in(client)
    for _ in range(throttle.BY_BOTH):
        assert change_password(client, "a guess").status_code == 200

    assert change_password(client, PASSWORD).status_code == 429


def test_who_knows_the_old_password_changes_it(client: Client, root: User) -> None:
    sign_in(client)

    assert change_password(client, PASSWORD).status_code == 302
    assert not AttemptCount.objects.filter(count__gt=0).exists()


# The password is hashed in turn with those of the API


@pytest.fixture
def _no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """No further sign-in can wait for a slot: the limit is one, and it is taken."""
    monkeypatch.setattr(verification, "_places", BoundedSemaphore(1))
    verification._places.acquire()


@pytest.mark.usefixtures("_no_place")
def test_a_sign_in_without_a_free_slot_is_refused_with_the_reason(
    client: Client, root: User
) -> None:
    response = sign_in(client)

    assert (response.status_code, response["Retry-After"]) == (429, "1")
    assert "Try again in a few seconds." in response.content.decode()
    assert client.get("/admin/").status_code == 302


@pytest.mark.usefixtures("_no_place")
@pytest.mark.parametrize("name", ["root", "nobody"])
def test_it_is_not_counted_as_a_guess(client: Client, root: User, name: str) -> None:
    for _ in range(6):
        assert sign_in(client, "a guess", name)["Retry-After"] == "1"

    assert not AccessAttempt.objects.exists()


@pytest.mark.parametrize("name", ["root", "nobody"])
def test_one_password_is_hashed_at_a_time(
    client: Client, root: User, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[bool] = []

    def note(*args: Any) -> None:
        alone.append(verification._hashing.locked())

    monkeypatch.setattr(User, "check_password", note)
    monkeypatch.setattr(User, "set_password", note)
    sign_in(client, "a guess", name)

    assert alone == [True]
    assert not verification._hashing.locked()


def test_pages_may_load_our_own_files_only(client: Client) -> None:
    policy = client.get("/admin/login/")["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_what_is_not_there_is_said_in_the_admins_clothes(
    client: Client, root: User
) -> None:
    sign_in(client)

    response = client.get("/admin/images/image/no-such-image/change/")

    assert response.status_code == 404
    assert "There is no image with this id." in response.content.decode()
    assert "Image catalogue" in response.content.decode()


def test_a_path_that_nobody_knows_tells_nothing_of_the_inside(
    client: Client, root: User
) -> None:
    sign_in(client)

    response = client.get("/admin/no-such-page/")

    assert response.status_code == 404
    assert "There is no such page." in response.content.decode()


def test_a_style_sheet_is_served(client: Client) -> None:
    response = client.get("/static/admin/css/base.css")

    assert response.status_code == 200
    assert b"--primary" in b"".join(response)


def test_a_request_of_the_api_has_no_session(client: Client, root: User) -> None:
    sign_in(client)

    response = client.get("/v2/images")

    assert response.status_code == 401
    assert not hasattr(response.wsgi_request, "session")
    assert "Cookie" not in response.get("Vary", "")
    assert "Content-Security-Policy" not in response
