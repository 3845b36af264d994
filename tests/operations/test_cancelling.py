"""Cancelling one transfer, whether or not the image waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from images import errors, imports, lifecycle, stores
from images.access import Caller
from images.attributes import Changes
from images.imports import ImportRequest, queue
from images.models import Event, Image, Transfer
from images.operations import manual_transitions
from images.stores.http import HttpStore
from tests.rows import status

COPY = ImportRequest("copy-image", store_ids=("far",))
URL = "http://93.184.215.14/x"  # which the filter allows, and nobody asks
Make = Callable[..., Image]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_stores(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES = (
        f"local=file://{tmp_path}/images,far=file://{tmp_path}/far"
    )


def cancel(transfer: Transfer, actor: Caller) -> None:
    manual_transitions.cancel(transfer.pk, actor, "not needed")


def test_a_copy_that_waits_is_cancelled_and_the_image_stays_active(
    make_image: Make, admin: Caller
) -> None:
    image = make_image("active")
    imports.request_import(image.pk, COPY, admin)
    transfer = Transfer.objects.get()

    cancel(transfer, admin)

    transfer.refresh_from_db()
    assert (transfer.status, transfer.error_code) == ("failed", errors.Gone.code)
    assert "not needed" in transfer.error
    assert status(image) == "active"
    event = Event.objects.latest("pk")
    assert (event.verb, event.actor, event.reason) == ("fail", "root", "not needed")
    assert event.detail == {"transfer": str(transfer.pk), "store": "far"}
    assert not queue.carry_out(transfer.pk)


def test_a_copy_that_runs_is_cancelled_and_leaves_no_data(
    make_image: Make, admin: Caller, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.IMAGECATALOG_LEASE_SECONDS = 0.001
    image = make_image("active")
    imports.request_import(image.pk, COPY, admin)
    transfer = Transfer.objects.get()
    read = lifecycle.read

    def read_and_cancel(image_id: str) -> Iterator[bytes]:
        yield from read(image_id)
        cancel(transfer, admin)
        yield b"more"

    monkeypatch.setattr(lifecycle, "read", read_and_cancel)
    with pytest.raises(errors.Gone):
        queue.carry_out(transfer.pk)

    assert Transfer.objects.get().status == "failed"
    assert image.locations.get().store == "local"
    assert list(stores.get("far").keys()) == []


def test_a_web_download_that_waits_for_api_v1_is_cancelled(
    make_image: Make, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HttpStore, "size", lambda self, key: 5)
    image = make_image("queued")
    source = lifecycle.Source(URL)
    lifecycle.request_fetch(image.pk, source, Changes(), admin)

    cancel(Transfer.objects.get(), admin)

    assert (status(image), Transfer.objects.get().status) == ("queued", "failed")
    lifecycle.request_fetch(image.pk, source, Changes(), admin)


def test_an_import_is_cancelled_with_the_status_that_it_owns(
    make_image: Make, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HttpStore, "size", lambda self, key: 5)
    image = make_image("queued")
    imports.request_import(image.pk, ImportRequest("web-download", URL), admin)
    assert status(image) == "importing"

    cancel(Transfer.objects.get(), admin)

    assert (status(image), Transfer.objects.get().status) == ("queued", "failed")


@pytest.mark.parametrize("ended", ["done", "failed"])
def test_a_transfer_that_has_ended_is_not_cancelled(
    ended: str, make_image: Make, admin: Caller
) -> None:
    image = make_image("active")
    imports.request_import(image.pk, COPY, admin)
    Transfer.objects.update(status=ended)

    with pytest.raises(errors.Conflict, match="ended already"):
        cancel(Transfer.objects.get(), admin)

    assert not Event.objects.filter(verb="fail").exists()


def test_an_unknown_transfer_is_not_found(admin: Caller) -> None:
    with pytest.raises(errors.NotFound):
        manual_transitions.cancel(uuid4(), admin)
