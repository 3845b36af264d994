from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from imagecatalog.identity import (
    application_credentials,
    credentials,
    throttle,
    verification,
)
from imagecatalog.identity.origin import Origin

PASSWORD = "correct horse battery"


def ask(
    password: str = PASSWORD, name: str = "alice", address: str = "10.0.0.1"
) -> Any:
    pair = b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}"}
    return Client().get("/v2/images", headers=headers, REMOTE_ADDR=address)


def basic(password: str = PASSWORD, **who: str) -> int:
    return ask(password, **who).status_code


def guess(times: int = throttle.FAILURES, **who: str) -> list[int]:
    return [basic("wrong", **who) for _ in range(times)]


def test_who_guesses_has_to_wait(alice: User) -> None:
    assert guess() == [401] * throttle.FAILURES

    assert basic("wrong") == 429
    assert basic(PASSWORD) == 429


def test_the_waiting_ends(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    guess()
    later = time.monotonic() + throttle.WINDOW
    monkeypatch.setattr(throttle.time, "monotonic", lambda: later)

    assert basic(PASSWORD) == 200


def test_it_is_said_for_how_long(
    identity: Any, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(throttle.time, "monotonic", lambda: now)
    guess()
    monkeypatch.setattr(throttle.time, "monotonic", lambda: now + 17.5)

    assert ask("wrong").headers["Retry-After"] == "43"
    for _ in range(throttle.FAILURES):  # from another address than the other guesses
        identity.try_password("alice", "wrong")
    assert identity.try_password("alice").headers["Retry-After"] == "60"


def test_others_do_not_wait(alice: User, bob: User) -> None:
    guess()

    assert basic(PASSWORD, name="bob") == 200
    assert basic(PASSWORD, address="10.0.0.2") == 200


def test_who_is_known_does_not_wait(alice: User) -> None:
    assert basic(PASSWORD) == 200
    guess()

    assert basic(PASSWORD) == 200


def test_where_a_password_was_right_says_nothing_to_who_guesses_elsewhere(
    alice: User,
) -> None:
    assert basic(PASSWORD) == 200
    guess(address="6.6.6.6")

    assert basic("wrong", address="6.6.6.6") == 429
    assert basic(PASSWORD, address="6.6.6.6") == 429
    assert basic(PASSWORD) == 200


def test_nor_does_it_of_a_secret_that_was_chosen(alice: User) -> None:
    chosen = "not so very secret"
    row, _ = application_credentials.draft(alice, "id-of-lab", "robot", secret=chosen)
    application_credentials.store(row, Origin())
    assert basic(chosen, name=row.pk) == 200
    guess(name=row.pk, address="6.6.6.6")

    assert basic(chosen, name=row.pk, address="6.6.6.6") == 429
    assert basic(chosen, name=row.pk) == 200


def test_a_password_is_hashed_once_for_all_addresses(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert basic(PASSWORD) == 200
    monkeypatch.setattr(verification, "check_password", lambda *_: False)

    assert basic(PASSWORD, address="10.0.0.2") == 200


def test_who_is_known_does_not_wait_once_its_password_has_to_be_hashed_again(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert basic(PASSWORD) == 200
    later = time.monotonic() + verification.REMEMBERED_SECONDS
    monkeypatch.setattr(credentials.time, "monotonic", lambda: later)
    guess()

    assert basic(PASSWORD) == 200


def test_nor_when_something_about_others_has_changed(alice: User, bob: User) -> None:
    assert basic(PASSWORD) == 200
    guess()
    bob.save()

    assert basic(PASSWORD) == 200


def test_but_does_with_a_password_that_was_changed(alice: User) -> None:
    assert basic(PASSWORD) == 200
    guess()
    alice.set_password("another one")
    alice.save()

    assert basic(PASSWORD) == 429


def test_wrong_secrets_of_a_program_never_lock_the_right_one_out(alice: User) -> None:
    row, secret = application_credentials.draft(alice, "id-of-lab", "robot")
    application_credentials.store(row, Origin())
    wrong = guess(throttle.FAILURES + 1, name=row.pk)

    assert wrong == [401] * throttle.FAILURES + [429]
    assert basic(secret, name=row.pk) == 200


def test_one_that_somebody_chose_waits_like_a_password(alice: User) -> None:
    chosen = "not so very secret"
    row, _ = application_credentials.draft(alice, "id-of-lab", "robot", secret=chosen)
    application_credentials.store(row, Origin())
    guess(name=row.pk)

    assert basic(chosen, name=row.pk) == 429


def test_a_slip_is_forgiven(alice: User) -> None:
    guess(throttle.FAILURES - 1)
    assert basic(PASSWORD) == 200
    verification._verified.clear()

    assert basic("wrong") == 401
    assert basic(PASSWORD) == 200


def test_the_identity_face_counts_with_them(identity: Any, alice: User) -> None:
    for _ in range(throttle.FAILURES):
        assert identity.try_password("alice", "wrong").status_code == 401

    answer = identity.try_password("alice")
    assert answer.status_code == 429
    assert "Try again in" in answer.json()["error"]["message"]


def test_guessing_many_names_fills_no_memory(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "REMEMBERED_AT_MOST", 5)
    for number in range(20):
        basic("wrong", name=f"user-{number}")

    assert len(throttle._failures) <= 5


def test_nor_does_it_free_who_has_just_guessed(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "REMEMBERED_AT_MOST", 5)
    basic("wrong", name="early")
    guess()
    for number in range(4):
        basic("wrong", name=f"user-{number}")

    assert basic("wrong") == 429


def test_who_guesses_again_after_the_waiting_is_counted_among_the_new(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "REMEMBERED_AT_MOST", 2)
    basic("wrong")
    later = time.monotonic() + throttle.WINDOW
    monkeypatch.setattr(throttle.time, "monotonic", lambda: later)
    for name in ("early", "alice", "late"):
        basic("wrong", name=name)

    assert [name for name, _ in throttle._failures] == ["alice", "late"]


def test_ids_of_no_credential_fill_no_memory_at_all(db: None) -> None:
    for number in range(20):
        assert basic("wrong", name=f"{number:032x}") == 401

    assert not throttle._failures


# Those who wait for their slot to be hashed


@pytest.fixture
def _no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many wait as may."""
    monkeypatch.setattr(verification, "_places", BoundedSemaphore(1))
    verification._places.acquire()


@pytest.mark.usefixtures("_no_place")
@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_strangers_do_not_wait_without_end(alice: User, name: str) -> None:
    assert [basic("wrong", name=name) for _ in range(20)] == [429] * 20


def test_nor_do_those_who_were_right_elsewhere(
    alice: User, request: pytest.FixtureRequest
) -> None:
    assert basic(PASSWORD) == 200
    request.getfixturevalue("_no_place")

    assert basic(PASSWORD, address="6.6.6.6") == 429


@pytest.mark.usefixtures("_no_place")
def test_they_are_told_to_come_back_soon(identity: Any, alice: User) -> None:
    for answer in (ask("wrong"), identity.try_password("alice")):
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


def test_who_was_right_waits_however_many_do(
    alice: User, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    assert basic(PASSWORD) == 200
    request.getfixturevalue("_no_place")
    later = time.monotonic() + verification.REMEMBERED_SECONDS
    monkeypatch.setattr(credentials.time, "monotonic", lambda: later)

    assert basic(PASSWORD) == 200


def test_a_place_is_free_again_afterwards(alice: User) -> None:
    for number in range(verification.WAITING_AT_MOST + 1):
        assert basic("wrong", name=f"user-{number}") == 401


@pytest.mark.postgres
def test_who_waits_holds_no_connection(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Any] = []

    @contextmanager
    def note() -> Iterator[None]:
        held.append(connection.connection)
        yield

    monkeypatch.setattr(verification, "_hashing", note())
    credentials.by_password("nobody", "wrong")

    assert held == [None]


def test_those_who_waited_together_are_hashed_once(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    slot = verification.hashing_slot

    @contextmanager
    def after_another(was_right: bool) -> Iterator[None]:
        if not hashed:
            hashed.append(PASSWORD)
            credentials.by_password("alice", PASSWORD)  # who came first
        with slot(was_right):
            yield

    def count(password: str, encoded: str) -> bool:
        hashed.append(password)
        return True

    monkeypatch.setattr(verification, "hashing_slot", after_another)
    monkeypatch.setattr(verification, "check_password", count)

    assert credentials.by_password("alice", PASSWORD)
    assert hashed == [PASSWORD, PASSWORD]
