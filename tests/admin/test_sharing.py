"""Members on the page of an image, images from a URL, and copies that are tried again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from images import errors
from images.imports import queue
from images.models import Image, Member, Transfer
from tests.admin.conftest import LIST
from tests.copies import waiting_copies

MakeImage = Callable[..., Image]


def change(client: Client, image: Image, what: str, project: str = "friends") -> Any:
    address = f"{LIST}{image.pk}/members/{what}/"
    return client.post(address, {"project": project}, follow=True)


def test_a_member_is_added_accepted_and_removed(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active")

    assert "friends" in change(root, image, "add").content.decode()
    change(root, image, "accepted")
    assert Member.objects.get().status == "accepted"
    change(root, image, "remove")
    assert not Member.objects.exists()


def test_why_a_member_was_refused_is_said(root: Client, make_image: MakeImage) -> None:
    image = make_image("active", visibility="private")

    page = change(root, image, "add").content.decode()

    assert "Only shared images have members." in page
    assert not Member.objects.exists()


@pytest.mark.parametrize("what", ["add", "accepted", "remove"])
def test_an_operator_does_not_share(
    signed_in: Callable[..., Client], make_image: MakeImage, what: str
) -> None:
    image = make_image("active")

    assert change(signed_in("operator"), image, what).status_code == 403


def test_members_are_changed_by_post_only(root: Client, make_image: MakeImage) -> None:
    image = make_image("active")

    assert root.get(f"{LIST}{image.pk}/members/add/").status_code == 405


FORM = {
    "name": "fetched",
    "visibility": "shared",
    "disk_format": "raw",
    "container_format": "bare",
    "min_disk": "0",
    "min_ram": "0",
    "store": "local",
}


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ("127.0.0.1",)
    settings.IMAGECATALOG_URL_ALLOWED_PORTS = (80, 443, 9)


def test_an_image_from_a_url_waits_for_the_worker(
    root: Client, db: None, allowed: None
) -> None:
    root.post(f"{LIST}add/url/", FORM | {"url": "http://127.0.0.1:9/disk.raw"})

    transfer = Transfer.objects.get()
    assert (transfer.image.name, transfer.image.status) == ("fetched", "queued")
    assert transfer.source == "http://127.0.0.1:9/disk.raw"


def test_a_url_that_is_refused_makes_no_image(root: Client, db: None) -> None:
    response = root.post(f"{LIST}add/url/", FORM | {"url": "http://127.0.0.1:9/x"})

    assert "errorlist" in response.content.decode()
    assert not Image.objects.exists()


def test_a_copy_that_failed_leaves_the_image_queued_and_is_tried_again(
    root: Client, db: None, allowed: None
) -> None:
    root.post(f"{LIST}add/url/", FORM | {"url": "http://127.0.0.1:9/disk.raw"})
    (waiting,) = waiting_copies()
    with pytest.raises(Exception, match="."):
        queue.carry_out(waiting)
    image = Image.objects.get()
    assert image.status == "queued"

    page = root.get(f"{LIST}{image.pk}/change/").content.decode()
    assert "Retry" in page
    root.post(f"{LIST}{image.pk}/transfers/{waiting}/retry/")

    assert len(waiting_copies()) == 1


def test_a_file_that_has_grown_meanwhile_is_fetched_when_it_is_tried_again(
    root: Client, db: None, web: str, web_folder: Path
) -> None:
    root.post(f"{LIST}add/url/", FORM | {"url": f"{web}/disk.raw"})
    (waiting,) = waiting_copies()
    (web_folder / "disk.raw").write_bytes(bytes(5000))
    with pytest.raises(errors.Invalid, match="expected"):
        queue.carry_out(waiting)

    image = Image.objects.get()
    root.post(f"{LIST}{image.pk}/transfers/{waiting}/retry/")
    (waiting,) = waiting_copies()
    queue.carry_out(waiting)

    image = Image.objects.get()
    assert (image.status, image.size) == ("active", 5000)


def test_the_digest_that_a_person_gave_still_counts_when_it_is_tried_again(
    root: Client, db: None, web: str
) -> None:
    form = FORM | {"url": f"{web}/disk.raw", "checksum": "0" * 32}
    root.post(f"{LIST}add/url/", form)
    (first,) = waiting_copies()
    with pytest.raises(errors.Invalid):
        queue.carry_out(first)

    root.post(f"{LIST}{Image.objects.get().pk}/transfers/{first}/retry/")

    (again,) = waiting_copies()
    assert Transfer.objects.get(pk=again).checksum == "0" * 32
