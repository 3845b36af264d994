"""Sign-ins, as the metrics count them by method and result."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from imagecatalog.identity import application_credentials, second_factor, throttle
from imagecatalog.identity.origin import NOWHERE
from tests.identity.conftest import PASSWORD

Counts = Callable[[], dict[tuple[str, ...], float]]


@pytest.fixture
def results(counts: Counts) -> Counts:
    """``results()``: (method, result) -> number of sign-ins."""

    def results() -> dict[tuple[str, ...], float]:
        found = counts().items()
        return {key[1:]: value for key, value in found if key[0] == "sign_ins_total"}

    return results


def ask(name: str, secret: str) -> None:
    pair = b64encode(f"{name}:{secret}".encode()).decode()
    Client().get("/v2/images", headers={"Authorization": f"Basic {pair}"})


def enter(name: str, password: str) -> Client:
    """Sign in to the admin, and return the browser."""
    client = Client()
    client.post("/admin/login/", {"username": name, "password": password})
    return client


def test_requests_with_a_password_count_as_one_sign_in(
    alice: User, results: Counts
) -> None:
    for _ in range(2):
        ask("alice", PASSWORD)

    assert results() == {("password", "accepted"): 1}


def test_wrong_passwords_count_as_refused_and_those_after_the_limit_as_throttled(
    alice: User, identity: Any, results: Counts
) -> None:
    for _ in range(throttle.BY_BOTH + 2):
        identity.try_password("alice", "wrong")

    expected = {"refused": throttle.BY_BOTH, "throttled": 2}
    assert results() == {("password", name): it for name, it in expected.items()}


def test_secrets_of_application_credentials_count_on_their_own(
    alice: User, results: Counts
) -> None:
    row, secret = application_credentials.draft(alice, "id-of-lab", "robot")
    application_credentials.store(row, NOWHERE)
    ask(row.pk, secret)
    ask("0" * 32, secret)

    assert results() == {("secret", "accepted"): 1, ("secret", "refused"): 1}


def test_passwords_at_the_admin_count_too(root: User, results: Counts) -> None:
    enter("root", "wrong")
    enter("root", PASSWORD)

    assert results() == {("password", "refused"): 1, ("password", "accepted"): 1}


def test_codes_of_a_second_factor_count(
    root: User, results: Counts, settings: Any
) -> None:
    settings.IMAGECATALOG_SECOND_FACTOR = "optional"
    secret = second_factor.new_secret()
    right = second_factor._totp(secret).generate
    codes = second_factor.set_up(
        root, secret, right(int(time.time())).decode(), NOWHERE
    )

    assert not second_factor.check(root, "000000", NOWHERE)
    assert second_factor.check(root, codes[0], NOWHERE)

    methods = ("second_factor", "refused"), ("second_factor", "accepted")
    assert results() == dict.fromkeys(methods, 1)
