"""Digests that clients ask for and that were not computed when the data came."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from images import lifecycle, stores
from images.access import Caller
from images.models import Event, Image
from images.operations import known_digests, wanted_digests
from tests.rows import current

DATA = b"the bytes of an image"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def image(make_image: Any, member: Caller) -> Image:
    """An image with data, of which only MD5 and SHA-512 are known."""
    image: Image = make_image()
    lifecycle.upload(image.pk, [DATA], member)
    return image


def ask(client: Any, image: Image, wanted: str = "sha-256=10") -> str:
    headers = {"Want-Repr-Digest": wanted}
    response = client.head(f"/v2/images/{image.pk}/file", headers=headers)
    return str(response.headers.get("Repr-Digest", ""))


def is_asked(image: Image) -> bool:
    return current(image).digests_wanted_at is not None


def put_other_data(image: Image, data: bytes) -> None:
    key = image.locations.get().key
    stores.default().delete(key)
    stores.default().put(key, [data])


def test_a_digest_that_is_not_known_is_told_once_the_worker_has_computed_it(
    api: Any, image: Image
) -> None:
    assert ask(api.member, image).startswith("sha-512")

    wanted_digests.compute()

    assert ask(api.member, image).startswith("sha-256")
    assert current(image).digests["sha256"] == SHA256
    assert not is_asked(image)
    found = Image.objects.filter(known_digests.having("sha256", SHA256))
    assert [it.pk for it in found] == [image.pk]


def test_the_history_tells_the_digest_and_the_copy_counts_as_verified(
    api: Any, image: Image
) -> None:
    ask(api.member, image)
    wanted_digests.compute()

    event = Event.objects.latest("pk")
    assert (event.verb, event.detail["sha256"]) == ("verify", [None, SHA256])
    assert image.locations.get().verified_at is not None


@pytest.mark.parametrize("wanted", ["sha-512=1", "md5=9", "sha-256=0", "sha-256=x"])
def test_what_is_known_or_unknown_or_refused_is_not_computed(
    wanted: str, api: Any, image: Image
) -> None:
    ask(api.member, image, wanted)

    assert not is_asked(image)


def test_what_a_caller_is_not_allowed_to_download_is_not_read(
    api: Any, image: Image
) -> None:
    ask(api.reader, image)
    ask(api.stranger, image)

    assert not is_asked(image)


def test_damaged_data_gets_no_digest(api: Any, image: Image) -> None:
    ask(api.member, image)
    put_other_data(image, b"THE BYTES OF AN IMAGE")

    wanted_digests.compute()

    assert "sha256" not in current(image).digests
    assert image.locations.get().damage.startswith("wrong-digest: ")


def test_data_that_cannot_be_read_is_read_when_the_next_client_asks(
    api: Any, image: Image
) -> None:
    ask(api.member, image)
    key = image.locations.get().key
    stores.default().delete(key)
    wanted_digests.compute()
    assert (is_asked(image), "sha256" in current(image).digests) == (False, False)

    stores.default().put(key, [DATA])
    ask(api.member, image)
    wanted_digests.compute()

    assert current(image).digests["sha256"] == SHA256


def test_an_image_that_is_deleted_meanwhile_gets_no_digest(
    api: Any, image: Image, member: Caller
) -> None:
    ask(api.member, image)
    lifecycle.delete(image.pk, member)

    wanted_digests.compute()

    assert "sha256" not in current(image).digests
