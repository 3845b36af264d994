"""Errors of the database: which are outages, and what the log says about them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import Error, OperationalError, connection, transaction
from django.test import Client

from images import outages


@pytest.fixture
def read_only(db: None) -> Iterator[None]:
    """The real database refuses every change."""
    if connection.vendor == "sqlite":
        on, off = "PRAGMA query_only = ON", "PRAGMA query_only = OFF"
    else:
        on, off = "SET transaction_read_only = on", ""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(on)
        yield
        transaction.set_rollback(True)
    if off:
        with connection.cursor() as cursor:
            cursor.execute(off)


def failure(statement: str) -> Error:
    with (
        pytest.raises(Error) as caught,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    return caught.value


def test_a_read_only_database_is_an_outage(read_only: None) -> None:
    error = failure("DELETE FROM images_image")

    assert outages.is_outage(error)
    assert outages.sentence(error) == outages.READ_ONLY


@pytest.mark.postgres
def test_a_statement_that_takes_too_long_is_an_outage(db: None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 10")
        error = failure("SELECT pg_sleep(5)")

    assert outages.is_outage(error)
    assert outages.sentence(error) == outages.TOO_SLOW


def test_a_wrong_statement_is_no_outage(db: None) -> None:
    assert not outages.is_outage(failure("SELECT nothing FROM nowhere"))


def test_a_refused_row_is_no_outage(make_image: Any) -> None:
    image = make_image()
    twice = "INSERT INTO images_image SELECT * FROM images_image WHERE id = %r"

    assert not outages.is_outage(failure(twice % image.pk))


def test_an_outage_of_an_interface_is_answered_with_503(
    read_only: None, client_of: Any, admin: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_AUTH = "none"

    response = Client().post("/v2/images", "{}", content_type="application/json")

    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert outages.READ_ONLY in response.content.decode()


def test_an_outage_lasts_while_requests_wait_for_a_lock(
    caplog: pytest.LogCaptureFixture, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(3):
        outages.record(OperationalError("database is locked"))
        now += settings.IMAGECATALOG_DATABASE_SECONDS + 1
        outages.record_success()
    now += settings.IMAGECATALOG_DATABASE_SECONDS
    outages.record_success()
    outages.record_success()

    began, ended = caplog.messages
    assert began == "the database fails: database is locked"
    assert "works again" in ended
    assert "process: 3" in ended
