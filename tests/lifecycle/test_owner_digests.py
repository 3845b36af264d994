"""Digests that the owner of an image states in its properties, as openstacksdk does."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from images import errors, imports, lifecycle, uploads
from images.access import Caller
from images.expected_digests import DigestMismatch
from images.imports import ImportRequest
from images.lifecycle import AddLocation
from images.models import Image, Transfer
from images.operations import consistency
from tests.copies import work
from tests.rows import current, status
from tests.web import serving_files

DATA = b"some bytes" * 100
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(DATA).hexdigest()
WRONG = "0" * 64
NAME = "owner_specified.openstack."
Make = Callable[..., Image]


@pytest.fixture(autouse=True)
def compared(settings: Any) -> None:
    settings.IMAGECATALOG_EXPECT_OWNER_DIGEST = True


@pytest.fixture
def make(db: None, member: Caller) -> Make:
    """``make(sha256="…")``: a queued image whose owner states this digest."""

    def make(**digests: str) -> Image:
        fields = {"disk_format": "raw", "container_format": "bare"}
        stated = {f"{NAME}{name}": digest for name, digest in digests.items()}
        fields |= {"owner": member.project}
        return lifecycle.create(fields, stated, [], member)

    return make


@pytest.mark.parametrize(
    "stated",
    [
        {"sha256": SHA256},
        {"sha256": SHA256.upper(), "md5": MD5},
        {"sha256": SHA256, "md5": ""},
        {"sha256": "", "md5": ""},
        {},
    ],
)
def test_the_data_that_the_owner_has_described_is_accepted(
    stated: dict[str, str], make: Make, member: Caller
) -> None:
    image = make(**stated)

    lifecycle.upload(image.pk, [DATA], member)

    assert status(image) == "active"


@pytest.mark.parametrize(
    "stated",
    [{"sha256": WRONG}, {"md5": WRONG[:32]}, {"sha256": SHA256, "md5": "a" * 32}],
)
def test_other_data_is_refused(
    stated: dict[str, str], make: Make, member: Caller
) -> None:
    image = make(**stated)

    with pytest.raises(DigestMismatch, match=r"Digest mismatch: (sha-256|md5) is"):
        lifecycle.upload(image.pk, [DATA], member)

    assert status(image) == "queued"
    assert list(consistency.check()) == []


def test_other_data_is_accepted_where_nobody_compares(
    make: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_EXPECT_OWNER_DIGEST = False
    image = make(sha256=WRONG, md5="no digest")

    lifecycle.upload(image.pk, [DATA], member)

    assert status(image) == "active"


@pytest.mark.parametrize(
    "stated", [{"sha256": WRONG[:63]}, {"sha256": "x" * 64}, {"md5": SHA256}]
)
def test_a_malformed_digest_is_refused_before_the_data(
    stated: dict[str, str], make: Make, member: Caller
) -> None:
    image = make(**stated)

    with pytest.raises(errors.Invalid, match="Correct or remove it"):
        lifecycle.upload(image.pk, iter([DATA]), member)

    assert not Transfer.objects.exists()


def test_data_must_have_the_digests_of_the_owner_and_of_the_request(
    make: Make, member: Caller
) -> None:
    image = make(sha256=SHA256)

    with pytest.raises(DigestMismatch):
        lifecycle.upload(image.pk, [DATA], member, expected_digests={"sha256": WRONG})


def test_a_resumable_upload_is_compared(make: Make, member: Caller) -> None:
    image = make(sha256=WRONG)
    upload = uploads.begin(image.pk, len(DATA), member)

    with pytest.raises(DigestMismatch):
        uploads.append(image.pk, upload.pk, 0, iter([DATA]), member)

    assert status(image) == "queued"


@pytest.mark.parametrize(("digest", "outcome"), [(SHA256, "active"), (WRONG, "queued")])
def test_staged_data_is_compared_when_it_is_imported(
    digest: str, outcome: str, make: Make, member: Caller
) -> None:
    image = make(sha256=digest)
    uploads.stage(image.pk, [DATA], member)
    imports.request_import(image.pk, ImportRequest("glance-direct"), member)
    work()

    assert status(image) == outcome


def test_data_that_plugins_change_is_compared_before(
    make: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression",)
    packed = gzip.compress(DATA)
    outcomes = []
    for sent in (packed, DATA):
        image = make(sha256=hashlib.sha256(sent).hexdigest())
        uploads.stage(image.pk, [packed], member)
        imports.request_import(image.pk, ImportRequest("glance-direct"), member)
        work()
        outcomes.append(status(image))

    assert outcomes == ["active", "queued"]


def test_a_malformed_digest_of_data_for_plugins_ends_the_import(
    make: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression",)
    image = make(sha256=SHA256)
    uploads.stage(image.pk, [DATA], member)
    imports.request_import(image.pk, ImportRequest("glance-direct"), member)
    Image.objects.filter(pk=image.pk).update(properties={f"{NAME}sha256": "x"})
    work()

    assert status(image) == "queued"
    failed = Transfer.objects.exclude(task_id=None).get()
    assert "must have 64 hexadecimal digits" in failed.error


def test_data_at_a_location_is_compared(
    make: Make, member: Caller, tmp_path: Path, settings: Any
) -> None:
    image = make(sha256=WRONG)
    with serving_files(tmp_path / "web", settings, disk=DATA) as url:
        location = AddLocation.parse({"url": f"{url}/disk", "metadata": {}})
        with pytest.raises(DigestMismatch):
            lifecycle.add_location(image.pk, location, member)

    assert status(image) == "queued"


def test_data_that_is_copied_or_comes_again_is_not_compared(
    make_image: Any, member: Caller, admin: Caller, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_STORES += f",far=file://{tmp_path}/far"
    wrong = {f"{NAME}sha256": WRONG}
    active = make_image("active", data=DATA, properties=wrong)
    again = make_image(properties=wrong, pinned=True, size=len(DATA))

    lifecycle.request_image_copy(active.pk, "far", admin)
    work()
    lifecycle.upload(again.pk, [DATA], member)

    assert current(active).locations.count() == 2
    assert status(again) == "active"


def test_an_image_of_no_bytes_is_compared(db: None, member: Caller) -> None:
    fields = {"disk_format": "raw", "container_format": "bare"}
    fields |= {"owner": member.project}
    nothing = {f"{NAME}sha256": hashlib.sha256().hexdigest()}

    lifecycle.create(fields, nothing, [], member, size=0)
    with pytest.raises(DigestMismatch):
        lifecycle.create(fields, {f"{NAME}sha256": WRONG}, [], member, size=0)
