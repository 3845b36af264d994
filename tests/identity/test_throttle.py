from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagecatalog.identity import (
    application_credentials,
    attempt_counts,
    credentials,
    throttle,
    verification,
)
from imagecatalog.identity.models import AttemptCount, SignInEvent
from imagecatalog.identity.origin import Origin
from tests.identity.conftest import PASSWORD, user


def ask(
    password: str = PASSWORD, name: str = "alice", address: str = "10.0.0.1"
) -> Any:
    pair = b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}"}
    return Client().get("/v2/images", headers=headers, REMOTE_ADDR=address)


def basic(password: str = PASSWORD, **who: str) -> int:
    return ask(password, **who).status_code


def guess(times: int = throttle.BY_BOTH, **who: str) -> list[int]:
    return [basic("wrong", **who) for _ in range(times)]


def test_who_guesses_has_to_wait(alice: User) -> None:
    assert guess() == [401] * throttle.BY_BOTH

    assert basic("wrong") == 429
    assert basic(PASSWORD) == 429


def test_the_waiting_ends(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    guess()
    later = time.time() + throttle.WINDOW
    monkeypatch.setattr(throttle.time, "time", lambda: later)

    assert basic(PASSWORD) == 200


def test_it_is_said_for_how_long(
    identity: Any, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time())
    monkeypatch.setattr(throttle.time, "time", lambda: now)
    guess()
    monkeypatch.setattr(throttle.time, "time", lambda: now + 17.5)

    assert ask("wrong").headers["Retry-After"] == "43"
    for _ in range(throttle.BY_BOTH):  # from another address than the other guesses
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
    wrong = guess(throttle.BY_BOTH + 1, name=row.pk)

    assert wrong == [401] * throttle.BY_BOTH + [429]
    assert basic(secret, name=row.pk) == 200


def test_one_that_somebody_chose_waits_like_a_password(alice: User) -> None:
    chosen = "not so very secret"
    row, _ = application_credentials.draft(alice, "id-of-lab", "robot", secret=chosen)
    application_credentials.store(row, Origin())
    guess(name=row.pk)

    assert basic(chosen, name=row.pk) == 429


def test_a_slip_is_forgiven(alice: User) -> None:
    guess(throttle.BY_BOTH - 1)
    assert basic(PASSWORD) == 200
    verification._verified.clear()

    assert basic("wrong") == 401
    assert basic(PASSWORD) == 200


def test_the_identity_face_counts_with_them(identity: Any, alice: User) -> None:
    for _ in range(throttle.BY_BOTH):
        assert identity.try_password("alice", "wrong").status_code == 401

    answer = identity.try_password("alice")
    assert answer.status_code == 429
    assert "Try again in" in answer.json()["error"]["message"]


def test_ids_of_no_credential_are_not_counted(db: None) -> None:
    for number in range(throttle.BY_ADDRESS + 1):
        assert basic("wrong", name=f"{number:032x}") == 401

    assert not AttemptCount.objects.exists()


# By name, by address, and for all processes


def test_many_names_are_tried_only_so_often_from_one_address(db: None) -> None:
    codes = [basic("wrong", name=f"user-{number % 4}") for number in range(24)]

    assert codes == [401] * throttle.BY_ADDRESS + [429] * 4


def test_the_addresses_of_one_network_count_as_one(db: None) -> None:
    for number in range(throttle.BY_ADDRESS):
        basic("wrong", name=f"user-{number}", address=f"2001:db8:0:1::{number:x}")

    assert basic("wrong", address="2001:db8:0:1:a:b:c:d") == 429
    assert basic("wrong", address="2001:db8:0:2::1") == 401


def test_one_name_is_tried_only_so_often_from_all_addresses(alice: User) -> None:
    codes = [basic("wrong", address=f"10.0.1.{number % 5}") for number in range(40)]

    assert codes == [401] * throttle.BY_NAME + [429] * 10
    assert basic("wrong", name="bob", address="10.0.1.1") == 401


def guess_from_everywhere() -> None:
    for number in range(throttle.BY_NAME):
        assert basic("wrong", address=f"10.0.2.{number}") == 401


def forget_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty the caches of a process, as if it had just started."""
    monkeypatch.setattr(verification, "_verified", {})
    monkeypatch.setattr(throttle, "_refused", {})


def test_guesses_from_everywhere_do_not_lock_out_who_has_signed_in_before(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert basic(PASSWORD) == 200
    forget_everything(monkeypatch)
    guess_from_everywhere()

    assert basic(PASSWORD, address="6.6.6.6") == 429
    assert basic(PASSWORD) == 200


def test_one_address_alone_does_not_use_up_the_limit_of_a_name(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(throttle.BY_NAME + 1):
        basic("wrong", address="6.6.6.6")
        forget_everything(monkeypatch)

    assert basic(PASSWORD) == 200


def test_a_generated_secret_works_whatever_was_guessed(alice: User) -> None:
    row, secret = application_credentials.draft(alice, "id-of-lab", "robot")
    application_credentials.store(row, Origin())
    for number in range(throttle.BY_ADDRESS):
        basic("wrong", name=f"user-{number}")

    assert basic("wrong", name=row.pk) == 429
    assert basic(secret, name=row.pk) == 200


def test_all_processes_count_together(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    guess()
    forget_everything(monkeypatch)

    assert basic("wrong") == 429
    assert basic(PASSWORD) == 429


def test_right_passwords_are_not_counted(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(throttle.BY_ADDRESS + 1):
        assert basic(PASSWORD) == basic(PASSWORD, name="bob") == 200
        forget_everything(monkeypatch)

    assert not AttemptCount.objects.filter(count__gt=0).exists()


def test_a_refused_attempt_costs_the_database_nothing_but_the_look_up(
    alice: User,
) -> None:
    guess(throttle.BY_BOTH + 1)

    with CaptureQueriesContext(connection) as queries:
        assert basic("wrong") == 429

    assert len(queries) == 1


def test_what_other_processes_take_back_counts_soon(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    guess()
    assert basic(PASSWORD) == 429
    AttemptCount.objects.update(count=0)
    later = time.time() + throttle.ASKED_AGAIN
    monkeypatch.setattr(throttle.time, "time", lambda: later)

    assert basic(PASSWORD) == 200


def test_an_attempt_is_counted_by_one_statement_and_taken_back_by_one(
    alice: User,
) -> None:
    with CaptureQueriesContext(connection) as first:
        assert basic(PASSWORD) == 200
    with CaptureQueriesContext(connection) as again:
        assert basic(PASSWORD) == 200

    assert sum("attemptcount" in query["sql"] for query in first) == 2
    assert not any("attemptcount" in query["sql"] for query in again)


def test_the_table_tells_no_names(alice: User) -> None:
    basic("wrong", name="a password in the wrong field")

    kept = str(list(AttemptCount.objects.values()))
    assert "password" not in kept
    assert "10.0.0.1" not in kept


def test_of_many_at_once_no_more_are_hashed_than_allowed(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(verification, "make_password", hashed.append)
    monkeypatch.setattr(verification, "_places", BoundedSemaphore(60))

    def attempt(number: int) -> int:
        try:
            return basic("wrong", name=f"user-{number % 4}")
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as threads:
        codes = list(threads.map(attempt, range(60)))

    assert codes.count(401) == len(hashed) == throttle.BY_ADDRESS
    assert codes.count(429) == 40


@pytest.fixture
def _slow_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    check = verification.check_password

    def check_slowly(password: str, encoded: str) -> bool:
        time.sleep(0.05)  # others arrive meanwhile
        return check(password, encoded)

    monkeypatch.setattr(verification, "check_password", check_slowly)


@pytest.mark.usefixtures("_slow_hashing")
@pytest.mark.parametrize("users", [1, throttle.BY_ADDRESS + 4])
def test_right_passwords_that_arrive_at_once_are_no_guesses(
    transactional_db: None, users: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_places", BoundedSemaphore(60))
    names = [f"user-{number}" for number in range(users)]
    for name in names:
        user(name, lab="member")
    at_once = throttle.BY_ADDRESS + 4

    def sign_in(number: int) -> int:
        try:
            return basic(PASSWORD, name=names[number % users])
        finally:
            connection.close()

    with ThreadPoolExecutor(at_once) as threads:
        codes = list(threads.map(sign_in, range(at_once)))

    assert codes == [200] * at_once


# A database that cannot be written


def set_read_only(on: bool) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA query_only = {on}")
            return
        # For new connections, also those that the pool makes while the test runs.
        cursor.execute("SET default_transaction_read_only = off")
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(
            f"ALTER DATABASE {name} SET default_transaction_read_only = {on}"
        )
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


@pytest.fixture
def _read_only(transactional_db: None) -> Iterator[None]:
    set_read_only(True)
    yield
    set_read_only(False)


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_that_tells_nobody_which_names_exist_and_each_process_counts_alone(
    transactional_db: None, name: str, alice: User, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("_read_only")

    answers = [ask("wrong", name=name) for _ in range(throttle.BY_BOTH + 1)]

    codes = [answer.status_code for answer in answers]
    assert codes == [401] * throttle.BY_BOTH + [429]
    assert b"The user name, password or key is wrong" in answers[0].content
    assert not SignInEvent.objects.exists()


def test_what_a_process_counts_alone_fills_no_memory(
    transactional_db: None,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr(attempt_counts, "REMEMBERED_AT_MOST", 5)
    request.getfixturevalue("_read_only")
    for number in range(20):
        basic("wrong", name=f"user-{number}", address=f"10.0.1.{number}")

    assert len(attempt_counts._own) <= 5


def test_who_signs_in_is_not_counted_there_either(
    transactional_db: None,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    request.getfixturevalue("_read_only")
    for _ in range(throttle.BY_BOTH + 1):
        assert basic(PASSWORD) == 200
        forget_everything(monkeypatch)


# Those who wait for their slot to be hashed


@pytest.fixture
def _no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no further sign-in wait: one is the limit, and one waits already."""
    monkeypatch.setattr(verification, "_places", BoundedSemaphore(1))
    verification._places.acquire()


@pytest.mark.usefixtures("_no_place")
@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_strangers_do_not_wait_without_end(alice: User, name: str) -> None:
    assert [basic("wrong", name=name) for _ in range(20)] == [429] * 20
    assert not AttemptCount.objects.exists()


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
        assert basic("wrong", address=f"10.0.1.{number}") == 401


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
    def after_another(*guess: Any, **options: bool) -> Iterator[Any]:
        if not hashed:
            hashed.append(PASSWORD)
            credentials.by_password("alice", PASSWORD)  # who came first
        with slot(*guess, **options) as counted:
            yield counted

    def count(password: str, encoded: str) -> bool:
        hashed.append(password)
        return True

    monkeypatch.setattr(verification, "hashing_slot", after_another)
    monkeypatch.setattr(verification, "check_password", count)

    assert credentials.by_password("alice", PASSWORD)
    assert hashed == [PASSWORD, PASSWORD]
