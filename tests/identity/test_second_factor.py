"""One-time codes after a password, on the pages of the admin."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from imagecatalog.identity import second_factor
from imagecatalog.identity.models import SecondFactor, SignInEvent
from imagecatalog.identity.origin import NOWHERE
from images import errors

LOGIN, CODE, SETUP = "/admin/login/", "/admin/login/code/", "/admin/second-factor/"
PASSWORD = "a long enough password"
SECRET = second_factor.new_secret()
IMAGES = "/admin/images/image/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def optional(settings: Any) -> None:
    settings.IMAGECATALOG_SECOND_FACTOR = "optional"


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


@pytest.fixture
def recovery_codes(root: User) -> list[str]:
    """The recovery codes of root, whose second factor was set up with the previous period's code."""
    return second_factor.set_up(root, SECRET, code(-1), NOWHERE)


def code(periods: int = 0, secret: str = SECRET) -> str:
    """Return the one-time code of the present period, or of one that is ``periods`` later."""
    at = int(time.time()) + periods * second_factor.PERIOD
    return second_factor._totp(secret).generate(at).decode()


def enter_password(client: Client) -> Any:
    form = {"username": "root", "password": PASSWORD, "next": IMAGES}
    return client.post(LOGIN, form)


def is_signed_in(client: Client) -> bool:
    return client.get(IMAGES).status_code == 200


def test_a_user_with_a_second_factor_is_asked_for_a_code(
    recovery_codes: list[str], client: Client
) -> None:
    answer = enter_password(client)

    assert answer.headers["Location"] == CODE
    assert b"Enter the code that your app shows" in client.get(CODE).content
    assert not is_signed_in(client)
    answer = client.post(CODE, {"code": code()})
    assert answer.headers["Location"] == IMAGES
    assert is_signed_in(client)


def test_others_sign_in_with_the_password_alone(root: User, client: Client) -> None:
    assert enter_password(client).headers["Location"] == IMAGES


@pytest.mark.parametrize("wrong", ["", "000000", "12345", "é", "x" * 32])
def test_a_wrong_code_signs_nobody_in(
    wrong: str, recovery_codes: list[str], client: Client
) -> None:
    enter_password(client)

    answer = client.post(CODE, {"code": wrong})

    assert b"The code is wrong" in answer.content
    assert not is_signed_in(client)
    refusal = SignInEvent.objects.get(verb="refused")
    assert refusal.detail["method"] == "second factor"


def test_a_code_without_the_password_signs_nobody_in(
    recovery_codes: list[str], client: Client
) -> None:
    answer = client.post(CODE, {"code": code()})

    assert answer.headers["Location"].startswith(LOGIN)


@pytest.mark.parametrize("change", ["password", "disabled", "too late"])
def test_what_changes_after_the_password_counts(
    change: str, recovery_codes: list[str], root: User, client: Client
) -> None:
    enter_password(client)
    if change == "password":
        root.set_password("another long password")
    root.is_active = change != "disabled"
    root.save()
    if change == "too late":
        session = client.session
        session["second_factor_pending"] |= {"at": int(time.time()) - 301}
        session.save()

    assert client.post(CODE, {"code": code()}).headers["Location"] == LOGIN


def test_a_code_counts_once(root: User, recovery_codes: list[str]) -> None:
    now = code()

    assert second_factor.check(root, now, NOWHERE)
    assert not second_factor.check(root, now, NOWHERE)
    assert not second_factor.check(root, code(-1), NOWHERE)


def test_a_recovery_code_counts_once(root: User, recovery_codes: list[str]) -> None:
    first = recovery_codes[0]

    assert second_factor.check(root, first.upper(), NOWHERE)
    assert not second_factor.check(root, first, NOWHERE)
    assert len(set(recovery_codes)) == 10


def test_few_codes_are_tried_and_the_wait_ends(
    root: User, recovery_codes: list[str]
) -> None:
    for _ in range(10):
        assert not second_factor.check(root, "wrong", NOWHERE)

    with pytest.raises(errors.TooManyAttempts, match="15 minutes"):
        second_factor.check(root, code(), NOWHERE)

    before = timezone.now() - timedelta(minutes=16)
    SecondFactor.objects.update(wrong_at=before)
    assert second_factor.check(root, code(), NOWHERE)


def test_too_many_codes_are_answered_with_a_page(
    recovery_codes: list[str], client: Client
) -> None:
    SecondFactor.objects.update(wrong=10)
    enter_password(client)

    answer = client.post(CODE, {"code": code()})

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "900"


def test_a_user_sets_it_up_and_removes_it(root: User, client: Client) -> None:
    enter_password(client)
    page = client.get(SETUP)
    shown = re.search("<code>([A-Z2-7 ]+)</code>", page.content.decode())
    assert shown
    secret = shown[1].replace(" ", "")
    assert b"data:image/svg+xml" in page.content

    wrong = client.post(SETUP, {"code": "000000"})
    assert b"The code is wrong" in wrong.content
    done = client.post(SETUP, {"code": code(-1, secret)})

    assert len(re.findall("[0-9a-f]{8}-[0-9a-f]{8}", done.content.decode())) == 10
    assert "no-store" in done.headers["Cache-Control"]
    assert secret not in SecondFactor.objects.get().secret
    client.post(SETUP, {"code": code(0, secret)})
    assert not SecondFactor.objects.exists()


def test_where_it_is_required_it_is_set_up_before_anything_else(
    root: User, client: Client, settings: Any
) -> None:
    settings.IMAGECATALOG_SECOND_FACTOR = "required"

    assert enter_password(client).headers["Location"] == SETUP
    assert not is_signed_in(client)
    client.get(SETUP)
    secret = client.session["second_factor_secret"]
    done = client.post(SETUP, {"code": code(0, secret)})

    assert f'href="{IMAGES}">Continue' in done.content.decode()
    assert is_signed_in(client)


def test_a_pending_user_cannot_replace_a_factor(
    recovery_codes: list[str], client: Client
) -> None:
    enter_password(client)

    assert client.get(SETUP).headers["Location"] == CODE
    assert SecondFactor.objects.exists()


def test_a_lost_secret_key_is_explained(
    recovery_codes: list[str], client: Client, settings: Any
) -> None:
    SecondFactor.objects.update(secret="of another key")
    enter_password(client)

    answer = client.post(CODE, {"code": code()})

    assert answer.status_code == 403
    assert b"Sign in with a recovery code" in answer.content
    assert client.post(CODE, {"code": recovery_codes[0]}).status_code == 302


def test_an_operator_removes_it(
    recovery_codes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("second_factor_remove", "root")
    call_command("second_factor_remove", "root")

    assert capsys.readouterr().out.splitlines() == [
        "The second factor of root is removed.",
        "The second factor of root was not set up.",
    ]


def test_without_the_setting_nobody_is_asked(
    recovery_codes: list[str],
    client: Client,
    settings: Any,
) -> None:
    settings.IMAGECATALOG_SECOND_FACTOR = "off"

    assert enter_password(client).headers["Location"] == IMAGES
    assert b"Second factor" not in client.get(IMAGES).content
