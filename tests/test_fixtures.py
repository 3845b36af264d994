"""The fixtures keep their word: what they make is what the life cycle would have left."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client

from images import stores
from images.access import Caller
from images.models import Image, Status
from tests import servers
from tests.conftest import nothing_skipped


@pytest.mark.parametrize("status", Status.values)
def test_an_image_can_be_made_in_every_status(
    make_image: Callable[..., Image], status: str
) -> None:
    image = make_image(status)

    assert Image.objects.get(pk=image.pk).status == status


def test_an_active_image_has_its_bytes(make_image: Callable[..., Image]) -> None:
    image = make_image("active", data=b"four")

    location = image.locations.get()
    assert b"".join(stores.get(location.store).open(location.key)) == b"four"
    assert image.size == 4


def test_a_client_is_signed_in_as_its_caller(
    client_of: Callable[[Caller], Client], member: Caller, stranger: Caller
) -> None:
    image = {"name": "mine", "container_format": "bare", "disk_format": "raw"}
    made = client_of(member).post(
        "/v2/images", json.dumps(image), content_type="application/json"
    )

    assert made.json()["owner"] == member.project
    assert client_of(stranger).get(made["Location"]).status_code == 404


@pytest.mark.parametrize(("ci", "outcome"), [("true", "failed"), ("", "skipped")])
def test_a_skipped_test_is_a_failure_in_ci_only(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: str
) -> None:
    monkeypatch.setenv("CI", ci)
    report = SimpleNamespace(outcome="skipped", skipped=True, longrepr="no qemu-img")

    assert nothing_skipped(report).outcome == outcome


@pytest.mark.django_db
@pytest.mark.sqlite
def test_the_sqlite_test_database_is_a_file_of_this_run() -> None:
    assert str(connection.settings_dict["NAME"]).endswith("/test.sqlite3")


@pytest.mark.django_db
@pytest.mark.sqlite
def test_the_sqlite_test_database_does_not_wait_for_the_disk() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db
@pytest.mark.postgres
def test_the_second_run_is_on_postgresql_that_does_not_wait_for_the_disk() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        assert cursor.fetchone() == ("off",)


def test_postgresql_starts_and_gives_an_empty_database(postgres_url: str) -> None:
    with psycopg.connect(servers.new_database(postgres_url)) as fresh:
        tables = fresh.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        )
        assert tables.fetchone() == (0,)


def test_the_object_store_keeps_what_it_is_given(s3: servers.S3, settings: Any) -> None:
    settings.IMAGECATALOG_STORES = s3.store()

    stores.default().put("ab/an-object.1", [b"one ", b"two"])

    assert b"".join(stores.default().open("ab/an-object.1")) == b"one two"
