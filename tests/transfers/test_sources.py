"""What is secret in the URL of a transfer: readable by the transfer only, and only until it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from images import errors, imports, lifecycle
from images.access import Caller
from images.backups.contents import REMOVED_SECRET
from images.imports import ImportRequest
from images.models import Image, Status, Transfer, TransferStatus
from images.operations import consistency, manual_transitions
from images.transfers import reaper, sources
from tests.copies import work
from tests.rows import status
from tests.web import serving_files

DATA = b"the bytes of a disk"
RAW = {"disk_format": "raw", "container_format": "bare"}
SECRET = "signature=hidden"

pytestmark = pytest.mark.django_db


@pytest.fixture
def image(member: Caller) -> Image:
    return lifecycle.create(RAW | {"owner": member.project}, {}, [], member)


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """A URL of DATA with a secret query."""
    with serving_files(tmp_path / "web", settings, disk=DATA) as url:
        yield f"{url}/disk?{SECRET}"


@pytest.fixture
def waiting(image: Image, web: str, member: Caller) -> Transfer:
    imports.request_import(image.pk, ImportRequest("web-download", web), member)
    return Transfer.objects.get()


def rows() -> str:
    return json.dumps(list(Transfer.objects.values()), default=str)


def in_error(waiting: Transfer) -> None:
    Image.objects.update(disk_format="qcow2")
    work()
    assert Transfer.objects.get().status == TransferStatus.FAILED


def by_deletion(waiting: Transfer) -> None:
    lifecycle.delete(waiting.image_id, Caller("a", "p", frozenset({"admin"})))


def by_cancelling(waiting: Transfer) -> None:
    admin = Caller("a", "p", frozenset({"admin"}))
    manual_transitions.fail(waiting.image_id, admin, "enough")


def by_the_reaper(waiting: Transfer) -> None:
    long_ago = timezone.now() - timedelta(days=1)
    Transfer.objects.update(status=TransferStatus.RUNNING, heartbeat_at=long_ago)
    reaper.reap()


def by_another_request(waiting: Transfer) -> None:
    Image.objects.update(status=Status.ACTIVE)
    work()


def test_a_waiting_transfer_has_the_query_only_encrypted(
    waiting: Transfer, web: str
) -> None:
    assert sources.url(waiting) == web
    assert waiting.source == web.replace(SECRET, "***")
    assert SECRET not in rows()


def test_the_query_is_used_and_then_erased(waiting: Transfer, image: Image) -> None:
    work()

    assert status(image) == Status.ACTIVE
    assert Transfer.objects.get().secret == ""
    assert list(consistency.check()) == []


@pytest.mark.parametrize(
    "end", [in_error, by_deletion, by_cancelling, by_the_reaper, by_another_request]
)
def test_the_query_is_erased_however_the_transfer_ends(
    end: Callable[[Transfer], None], waiting: Transfer
) -> None:
    end(waiting)

    ended = Transfer.objects.get()
    assert (ended.status, ended.secret) == (TransferStatus.FAILED, "")
    assert SECRET not in rows()


def test_what_the_previous_release_leaves_is_erased(waiting: Transfer) -> None:
    Transfer.objects.update(status=TransferStatus.DONE)

    reaper.end_dead_transfers()

    assert Transfer.objects.get().secret == ""


def test_a_url_without_secrets_is_kept_as_it_is(image: Image, web: str) -> None:
    plain = web.partition("?")[0]

    assert sources.columns(plain) == {"source": plain, "secret": ""}


def test_data_at_a_location_is_found_by_its_query(
    image: Image, web: str, member: Caller
) -> None:
    lifecycle.request_location(image.pk, web, {}, member, {})
    assert SECRET not in rows()

    work()

    assert image.locations.get().key == web
    assert SECRET not in rows()


def test_with_another_key_the_transfer_fails_with_the_reason(
    waiting: Transfer, image: Image, settings: Any
) -> None:
    settings.SECRET_KEY = "another key of this service"

    work()

    assert status(image) == Status.QUEUED
    assert "Send the request again" in Transfer.objects.get().error


def test_a_transfer_whose_secrets_a_backup_has_left_out_fails(
    waiting: Transfer, image: Image
) -> None:
    Transfer.objects.update(secret=REMOVED_SECRET)

    work()

    assert status(image) == Status.QUEUED
    assert "Send the request again" in Transfer.objects.get().error


def test_a_transfer_that_was_stored_with_an_earlier_key_goes_on(
    waiting: Transfer, image: Image, settings: Any
) -> None:
    settings.SECRET_KEY_FALLBACKS = [str(settings.SECRET_KEY)]
    settings.SECRET_KEY = "another key of this service"

    work()

    assert status(image) == Status.ACTIVE


def test_a_url_whose_query_is_erased_cannot_be_retried(
    waiting: Transfer, image: Image, member: Caller
) -> None:
    in_error(waiting)

    with pytest.raises(errors.Invalid, match="Enter the URL again"):
        sources.check_complete(Transfer.objects.get().source)


def test_the_queries_of_ended_transfers_of_earlier_releases_are_masked(
    waiting: Transfer, web: str
) -> None:
    migration = import_module("images.migrations.0026_transfer_secrets")
    Transfer.objects.update(source=web, status=TransferStatus.DONE)

    migration.mask(apps, SimpleNamespace(connection=connection))

    assert Transfer.objects.get().source == web.replace(SECRET, "***")
