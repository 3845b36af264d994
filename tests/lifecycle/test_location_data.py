"""Data at a URL, which is read and checked as an upload is before the image is active."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest

from images import errors, lifecycle
from images.access import Caller
from images.attributes import Changes
from images.lifecycle import AddLocation, ReplaceLocations, Source
from images.models import Image, ImageLocation, Status
from images.stores.http import HttpStore
from images.transfers import concurrency
from tests.rows import current
from tests.web import serving_files

DATA = b"the bytes of an image"
FORMATS = {"disk_format": "raw", "container_format": "bare", "owner": "project-a"}


def qcow2(backing: bytes = b"") -> bytes:
    """A disk of 1 MiB, without any content of its own."""
    where = (512, len(backing)) if backing else (0, 0)
    head = struct.pack(">4sIQIIQ", b"QFI\xfb", 2, *where, 16, 1 << 20)
    return head.ljust(512, b"\0") + backing.ljust((1 << 18) - 512, b"\0")


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of a web server that has `image` (DATA), `backed`, `disk` and `empty`."""
    disks = {"backed": qcow2(b"/etc/passwd"), "disk": qcow2()}
    files = {"image": DATA, "empty": b"", **disks}
    with serving_files(tmp_path / "web", settings, **files) as url:
        yield url


def add(image: Image, url: str, actor: Caller) -> None:
    lifecycle.add_location(image.pk, AddLocation(url), actor)


def replace(image: Image, url: str, actor: Caller) -> None:
    change = ReplaceLocations((AddLocation(url),))
    lifecycle.update(image.pk, Changes(), actor, [change])


def register(image: Image, url: str, actor: Caller) -> None:
    """Add a location as API v1 does to an image that exists."""
    change = AddLocation(url).as_only(None)
    lifecycle.update(image.pk, Changes(), actor, [change])


WAYS_IN = [add, replace, register]


@pytest.mark.parametrize("give", WAYS_IN)
def test_unsafe_data_makes_no_image_active(
    give: Any, web: str, make_image: Any, member: Caller
) -> None:
    image = make_image(disk_format="qcow2")

    with pytest.raises(errors.ContentRefused, match="backing file"):
        give(image, f"{web}/backed", member)

    assert current(image).status == Status.QUEUED
    assert not ImageLocation.objects.exists()


def test_unsafe_data_makes_no_new_image(web: str, member: Caller, db: None) -> None:
    location = AddLocation(f"{web}/backed").as_only(None)

    with pytest.raises(errors.ContentRefused):
        lifecycle.create(FORMATS, {}, [], member, location=location)

    assert not Image.objects.exists()


@pytest.mark.parametrize("give", WAYS_IN)
def test_the_first_location_says_what_its_data_is(
    give: Any, web: str, make_image: Any, member: Caller
) -> None:
    image = make_image(disk_format="qcow2")

    give(image, f"{web}/disk", member)

    image = current(image)
    assert image.status == Status.ACTIVE
    assert (image.size, image.virtual_size) == (1 << 18, 1 << 20)
    assert image.checksum == hashlib.md5(qcow2(), usedforsecurity=False).hexdigest()
    assert image.os_hash_algo == "sha512"
    assert image.os_hash_value == hashlib.sha512(qcow2()).hexdigest()


def test_formats_of_the_same_request_are_those_that_the_data_must_have(
    web: str, make_image: Any, member: Caller
) -> None:
    image = make_image(disk_format=None, container_format=None)
    formats = Changes({"disk_format": "qcow2", "container_format": "bare"})

    with pytest.raises(errors.ContentRefused):
        lifecycle.update(image.pk, formats, member, [AddLocation(f"{web}/image")])
    lifecycle.update(image.pk, formats, member, [AddLocation(f"{web}/disk")])

    assert current(image).virtual_size == 1 << 20


def test_no_data_is_read_for_an_image_without_formats(
    web: str, make_image: Any, member: Caller, never_read: None
) -> None:
    with pytest.raises(errors.Invalid, match="container_format"):
        add(make_image(container_format=None), f"{web}/image", member)


def test_a_wrong_size_is_refused_before_the_data_is_read(
    web: str, make_image: Any, member: Caller, never_read: None
) -> None:
    image = make_image()
    location = AddLocation(f"{web}/image").as_only(5)

    with pytest.raises(errors.Conflict, match="provided size: 5, stored size: 21"):
        lifecycle.update(image.pk, Changes(), member, [location])


def test_digests_of_another_algorithm_are_refused_before_the_data_is_read(
    web: str, make_image: Any, member: Caller, never_read: None
) -> None:
    claims = {"os_hash_algo": "sha256", "os_hash_value": "0" * 64}
    location = AddLocation(f"{web}/image", validation=claims)

    with pytest.raises(errors.Conflict, match="must be sha512"):
        lifecycle.add_location(make_image().pk, location, member)


def test_no_data_is_read_for_an_image_that_has_some(
    web: str, make_image: Any, member: Caller, never_read: None
) -> None:
    with pytest.raises(errors.AlreadyBegun):
        register(make_image("active"), f"{web}/image", member)


@pytest.fixture
def never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpStore, "open", lambda *asked: pytest.fail("data is read"))


@pytest.mark.parametrize("give", WAYS_IN)
def test_data_at_a_url_without_the_signature_of_the_image_is_refused(
    give: Any, web: str, make_image: Any, member: Caller
) -> None:
    image = make_image(properties={"img_signature": "eA=="})

    with pytest.raises(errors.Invalid, match="the image lacks img_signature_hash"):
        give(image, f"{web}/image", member)


def test_a_pinned_image_takes_its_data_from_a_url_only_in_a_format_that_it_has(
    web: str, make_image: Any, admin: Caller
) -> None:
    image = make_image()
    add(image, f"{web}/image", admin)
    lifecycle.remove_location(image.pk, image.locations.get().pk, admin)
    lifecycle.update(image.pk, Changes({"disk_format": "qcow2"}), admin)

    with pytest.raises(errors.ContentRefused):
        add(image, f"{web}/image", admin)

    assert (current(image).status, current(image).pinned) == (Status.QUEUED, True)


def test_a_further_copy_is_inspected_too(
    web: str, make_image: Any, admin: Caller
) -> None:
    image = make_image("active", data=qcow2(b"/etc/passwd"), disk_format="qcow2")

    with pytest.raises(errors.ContentRefused):
        add(image, f"{web}/backed", admin)


# While the data is read


Meanwhile = Callable[[Callable[[], Any]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """``meanwhile(action)``: another request acts once, when the next data is being read."""
    opened = HttpStore.open

    def arrange(action: Callable[[], Any]) -> None:
        def open_and_act(self: HttpStore, *asked: Any) -> Any:
            monkeypatch.setattr(HttpStore, "open", opened)
            action()
            return opened(self, *asked)

        monkeypatch.setattr(HttpStore, "open", open_and_act)

    return arrange


@pytest.mark.parametrize("give", WAYS_IN)
@pytest.mark.parametrize(
    "change",
    [
        Changes({"disk_format": "iso"}),
        Changes({"container_format": "ova"}),
        Changes(properties={"img_signature": "eA=="}),
    ],
)
def test_data_that_was_checked_for_another_image_than_it_is_now_is_refused(
    change: Changes,
    give: Any,
    web: str,
    make_image: Any,
    member: Caller,
    meanwhile: Meanwhile,
) -> None:
    image = make_image()
    meanwhile(lambda: lifecycle.update(image.pk, change, member))

    with pytest.raises(errors.Conflict, match="changed by another request"):
        give(image, f"{web}/image", member)

    assert current(image).status == Status.QUEUED
    assert not ImageLocation.objects.exists()


def test_an_image_is_queued_while_its_data_is_read(
    web: str, make_image: Any, member: Caller, meanwhile: Meanwhile
) -> None:
    image, seen = make_image(), []
    meanwhile(lambda: seen.append(current(image).status))

    add(image, f"{web}/image", member)

    assert seen == [Status.QUEUED]


def test_an_image_that_is_deleted_meanwhile_stays_deleted(
    web: str, make_image: Any, member: Caller, meanwhile: Meanwhile
) -> None:
    image = make_image()
    meanwhile(lambda: lifecycle.delete(image.pk, member))

    with pytest.raises(errors.NotFound):
        add(image, f"{web}/image", member)

    assert current(image).status == Status.DELETED


def test_an_upload_that_begins_meanwhile_wins(
    web: str, make_image: Any, member: Caller, meanwhile: Meanwhile
) -> None:
    image = make_image()
    meanwhile(lambda: lifecycle.upload(image.pk, [b"other bytes"], member))

    with pytest.raises(errors.Conflict, match="differs"):
        add(image, f"{web}/image", member)

    assert b"".join(lifecycle.read(image.pk)) == b"other bytes"


def test_the_first_of_two_registrations_wins(
    web: str, make_image: Any, member: Caller, meanwhile: Meanwhile
) -> None:
    image = make_image()
    meanwhile(lambda: register(image, f"{web}/empty", member))

    with pytest.raises(errors.AlreadyBegun):
        register(image, f"{web}/image", member)

    assert (current(image).size, image.locations.count()) == (0, 1)


def test_data_larger_than_the_quota_is_not_read_to_its_end(
    web: str, make_image: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = len(DATA) - 1

    with pytest.raises(errors.OverLimit, match="quota"):
        add(make_image(), f"{web}/image", member)


def test_slow_reads_leave_room_for_requests_of_web_downloads(
    web: str, make_image: Any, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "READS", BoundedSemaphore(1))
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 0.1)
    url, first, second = f"{web}/image", make_image(), make_image()

    with concurrency.slot(concurrency.READS):
        with pytest.raises(errors.StoreError, match="Try again in a few seconds"):
            add(first, url, member)
        lifecycle.request_fetch(second.pk, Source(url), Changes(), member)

    assert second.transfers.get().bytes_expected == len(DATA)


# Where the operator trusts owners


@pytest.mark.parametrize("give", WAYS_IN)
def test_data_of_a_trusted_owner_is_not_read(
    give: Any,
    web: str,
    make_image: Any,
    member: Caller,
    settings: Any,
    never_read: None,
) -> None:
    settings.IMAGECATALOG_LOCATION_DATA = "trust"
    image = make_image(disk_format="qcow2")

    give(image, f"{web}/backed", member)

    image = current(image)
    assert (image.status, image.size) == (Status.ACTIVE, 1 << 18)
    assert (image.checksum, image.virtual_size) == (None, None)
