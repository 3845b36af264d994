"""The list of transfers: what waits, runs and failed, for all images."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from images.models import Image, Transfer, TransferKind
from tests.admin.conftest import LIST

TRANSFERS = "/admin/images/transfer/"
MakeImage = Callable[..., Image]


@pytest.fixture
def transfer(make_image: MakeImage) -> Callable[..., Transfer]:
    """``transfer("debian", status="running")``: a transfer of a new image with this name."""

    def make(name: str, **fields: Any) -> Transfer:
        image = make_image("active", name=name)
        fields = {"kind": TransferKind.IMAGE_COPY, "store": "local"} | fields
        return Transfer.objects.create(image=image, key=f"key of {name}", **fields)

    return make


def shown(client: Client, query: str = "") -> set[str]:
    """The names of the images whose transfers are shown."""
    text = client.get(f"{TRANSFERS}{query}").content.decode()
    return set(re.findall(rf'href="{LIST}[^"]+/change/">([^<]+)</a>', text))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"waits", "runs"}),
        ("?status=waiting", {"waits"}),
        ("?status=running", {"runs"}),
        ("?status=failed", {"failed"}),
        ("?status=finished", {"imported"}),
        ("?kind__exact=copy", {"waits"}),
        ("?store=local", {"waits"}),
        ("?q=run", {"runs"}),
        ("?status=failed&q=run", set()),
    ],
)
def test_a_filter_shows_what_it_says(
    root: Client, transfer: Callable[..., Transfer], query: str, names: set[str]
) -> None:
    transfer("waits", status="waiting", kind=TransferKind.WEB_DOWNLOAD)
    transfer("runs", status="running", store="far")
    transfer("failed", status="failed")
    transfer("imported", status="done", task_id=uuid4())
    transfer("uploaded", status="done", kind=TransferKind.UPLOAD)

    assert shown(root, query) == names


def test_a_transfer_is_found_by_the_id_of_its_image(
    root: Client, transfer: Callable[..., Transfer]
) -> None:
    wanted = transfer("wanted", status="running")
    transfer("another", status="running")

    assert shown(root, f"?q={wanted.image_id[:13]}") == {"wanted"}


def test_the_list_shows_how_far_a_transfer_is_and_lets_it_be_cancelled(
    root: Client, transfer: Callable[..., Transfer]
) -> None:
    it = transfer("disk", status="running", bytes_received=512, bytes_expected=1024)

    page = root.get(TRANSFERS).content.decode()

    assert "Copy to another store" in page
    assert "512 B of 1.0 KiB" in page
    assert f'href="{LIST}{it.image_id}/transfers/{it.pk}/cancel/?transfers="' in page


def test_the_list_tells_why_a_transfer_failed(
    root: Client, transfer: Callable[..., Transfer]
) -> None:
    it = transfer("disk", status="failed", error="It answered <404>.")

    page = root.get(f"{TRANSFERS}?status=failed").content.decode()

    assert "It answered &lt;404&gt;." in page
    assert f"{it.pk}/cancel/" not in page


def test_a_viewer_sees_the_list_without_links_to_cancel(
    signed_in: Callable[..., Client], transfer: Callable[..., Transfer]
) -> None:
    transfer("disk", status="running", source="http://user:secret@127.0.0.1/x")

    page = signed_in("viewer").get(TRANSFERS).content.decode()

    assert "disk" in page
    assert "/cancel/" not in page
    assert "secret" not in page


def test_the_poll_of_the_list_tells_which_transfers_moved(
    root: Client, transfer: Callable[..., Transfer]
) -> None:
    runs = transfer("runs", status="running", bytes_received=1, bytes_expected=4)
    waits = transfer("waits", status="waiting")
    path = f"{TRANSFERS}live/?ids={runs.pk},{waits.pk},nonsense"
    state = root.get(TRANSFERS).context["cl"].state

    before = root.get(path).json()
    Transfer.objects.filter(pk=waits.pk).update(status="running")
    after = root.get(path).json()

    assert before["state"] == state != after["state"]
    assert {it["percent"] for it in before["transfers"]} == {25, None}


@pytest.mark.parametrize(
    "query", ["?status=odd", "?kind__exact=odd", "?store=odd", "?p=99", "?o=1", "?x=y"]
)
def test_nonsense_is_no_failure(
    root: Client, transfer: Callable[..., Transfer], query: str
) -> None:
    transfer("disk", status="running")

    assert root.get(f"{TRANSFERS}{query}", follow=True).status_code == 200


def test_the_list_asks_as_often_for_many_as_for_few(
    root: Client, transfer: Callable[..., Transfer]
) -> None:
    counts = []
    for number in range(6):
        transfer(f"disk {number}", status="running")
        with CaptureQueriesContext(connection) as queries:
            root.get(TRANSFERS)
        counts.append(len(queries))

    assert len(set(counts)) == 1
    assert counts[0] <= 5


def failed_import(image: Image, source: str) -> Transfer:
    return Transfer.objects.create(
        image=image,
        kind=TransferKind.WEB_DOWNLOAD,
        status="failed",
        store="local",
        key="failed",
        source=source,
    )


def test_a_failed_import_is_retried_from_the_list(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("queued")
    failed = failed_import(image, "https://example.org/disk.raw")

    page = root.get(f"{TRANSFERS}?status=failed").content.decode()

    retry = f"{LIST}{image.pk}/transfers/{failed.pk}/retry/"
    assert f'formaction="{retry}?transfers=status%3Dfailed"' in page
    assert "https://example.org/disk.raw" in page


def test_a_retry_leads_back_to_the_list_with_its_filter(
    root: Client, make_image: MakeImage, web: str
) -> None:
    image = make_image(
        "queued", name="nightly", disk_format="raw", container_format="bare"
    )
    failed = failed_import(image, web)
    path = f"{LIST}{image.pk}/transfers/{failed.pk}/retry/"

    answer = root.post(f"{path}?transfers=status%3Dfailed%26q%3Dnight", follow=True)

    assert answer.redirect_chain == [(f"{TRANSFERS}?status=failed&q=night", 302)]
    assert "Image nightly: Import restarted." in answer.content.decode()


def test_the_list_to_which_a_retry_leads_is_never_elsewhere(
    root: Client, transfer: Callable[..., Transfer]
) -> None:
    it = transfer("disk", status="done")
    path = f"{LIST}{it.image_id}/transfers/{it.pk}/cancel/"

    answer = root.get(f"{path}?transfers=//evil.example/%0d%0aX:y%26%23")

    assert answer.headers["Location"].startswith(f"{TRANSFERS}?")
    assert "evil.example/" not in answer.headers["Location"]


def test_sources_are_shown_to_those_who_import(
    signed_in: Callable[..., Client], transfer: Callable[..., Transfer]
) -> None:
    transfer("runs", status="running", source="https://example.org/disk.raw")

    page = signed_in("viewer").get(TRANSFERS).content.decode()

    assert "runs" in page
    assert "example.org" not in page
