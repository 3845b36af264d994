"""Whose request it is, when a proxy passes it on."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import ip_address
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from gunicorn.config import Config

from imagecatalog.identity import throttle
from imagecatalog.identity.models import SignInEvent
from images.http import client_address

PROXY = "10.0.0.1"
INSIDE = "10.0.0.0/8"
SOMEBODY = "192.0.2.7"


def client_of(peer: str, forwarded: str | None = None) -> str:
    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address.client(request)


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [
        (PROXY, True),
        (f"::ffff:{PROXY}", True),  # as a socket of both families has it
        ("2001:db8::1", True),
        (SOMEBODY, False),
        (f"::ffff:{SOMEBODY}", False),
    ],
)
def test_gunicorn_trusts_the_same_proxies(peer: str, is_trusted: bool) -> None:
    config = Config()
    trusted = client_address.as_peers((INSIDE, "unix", "2001:db8::1"))
    config.set("forwarded_allow_ips", ",".join(trusted))

    found = [ip_address(peer) in it for it in config.forwarded_allow_networks()]

    assert any(found) is is_trusted


def test_without_trusted_proxies_nobody_speaks_for_others() -> None:
    assert client_of(PROXY, SOMEBODY) == PROXY


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        (PROXY, SOMEBODY, SOMEBODY),
        (PROXY, f"203.0.113.1, {SOMEBODY}", SOMEBODY),  # the first is the client's lie
        (PROXY, f"{SOMEBODY},10.0.0.2 , 10.0.0.3", SOMEBODY),  # three proxies in a row
        (PROXY, "10.0.0.9, 10.0.0.2", "10.0.0.9"),  # somebody inside
        (PROXY, f"junk, {SOMEBODY}", SOMEBODY),
        (PROXY, f"{SOMEBODY}, unknown, 10.0.0.2", "10.0.0.2"),  # no further than known
        (PROXY, "unknown", PROXY),
        (PROXY, "", PROXY),
        (PROXY, None, PROXY),
        (PROXY, f"{SOMEBODY}:4711", SOMEBODY),
        (PROXY, "[2001:db8::7]:4711", "2001:db8::7"),
        (PROXY, "2001:DB8::0:7", "2001:db8::7"),
        (PROXY, "fe80::7%eth0", "fe80::7"),
        (f"::ffff:{PROXY}", f"::ffff:{SOMEBODY}", SOMEBODY),
        (f"::ffff:{SOMEBODY}", None, SOMEBODY),
        (f"::ffff:{SOMEBODY}", "203.0.113.1", SOMEBODY),
        (SOMEBODY, "203.0.113.1", SOMEBODY),  # no proxy of ours
        ("", "203.0.113.1", ""),
        (PROXY, f"{SOMEBODY}{', 10.0.0.2' * 32}", SOMEBODY),
        (PROXY, f"{SOMEBODY}{', 10.0.0.2' * 33}", "10.0.0.2"),  # no chain is so long
    ],
)
def test_the_last_address_is_the_clients_that_is_no_trusted_proxy(
    peer: str, forwarded: str | None, found: str, settings: Any
) -> None:
    settings.IMAGECATALOG_TRUSTED_PROXIES = (INSIDE,)

    assert client_of(peer, forwarded) == found


def test_a_proxy_at_a_unix_socket_is_trusted_by_its_own_word(settings: Any) -> None:
    settings.IMAGECATALOG_TRUSTED_PROXIES = ("unix",)

    assert client_of("", SOMEBODY) == SOMEBODY
    assert client_of("", f"{SOMEBODY}, {PROXY}") == PROXY
    assert client_of(PROXY, SOMEBODY) == PROXY


# Who asks for it


@pytest.fixture
def alice(db: None, settings: Any) -> User:
    settings.IMAGECATALOG_TRUSTED_PROXIES = (INSIDE,)
    return User.objects.create_superuser("alice", password="correct horse")


def guess(forwarded: str) -> int:
    pair = b64encode(b"alice:wrong").decode()
    headers = {"Authorization": f"Basic {pair}", "X-Forwarded-For": forwarded}
    answer = Client().get("/v2/images", headers=headers, REMOTE_ADDR=PROXY)
    return answer.status_code


def test_who_guesses_behind_a_proxy_makes_nobody_else_wait(alice: User) -> None:
    for number in range(throttle.BY_BOTH):
        assert guess(f"203.0.113.{number}, {SOMEBODY}") == 401

    assert guess(SOMEBODY) == 429
    assert guess("192.0.2.8") == 401


def test_the_record_names_the_client(alice: User) -> None:
    guess(SOMEBODY)

    assert SignInEvent.objects.get().source == SOMEBODY


def sign_in(password: str, forwarded: str, peer: str = PROXY) -> Any:
    return Client().post(
        "/admin/login/",
        {"username": "alice", "password": password, "next": "/admin/"},
        headers={"X-Forwarded-For": forwarded},
        REMOTE_ADDR=peer,
    )


def test_who_guesses_at_the_admin_locks_nobody_else_out(alice: User) -> None:
    for _ in range(5):
        sign_in("wrong", SOMEBODY)

    assert AccessAttempt.objects.get().ip_address == SOMEBODY
    assert sign_in("correct horse", SOMEBODY).status_code == 429
    assert sign_in("correct horse", "192.0.2.8").status_code == 302


def test_guesses_by_a_unix_socket_are_counted_too(alice: User) -> None:
    for _ in range(5):
        sign_in("wrong", "", peer="")

    assert sign_in("correct horse", "", peer="").status_code == 429
