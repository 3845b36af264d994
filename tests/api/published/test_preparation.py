"""What the background worker does before a version is published."""

from __future__ import annotations

import gzip
import hashlib
from typing import Any

import pytest

from images import families
from images.management.doctor import publishing as doctor
from images.models import PreparedVersion
from images.publishing import duties, preparation
from tests.api.published.conftest import COMMAND, work

DATA = b"the bytes of an image"
PATH = "/pub/images/debian-13/1/"


def test_missing_digests_are_computed(visitor: Any, family: Any, add: Any) -> None:
    family()
    add("1", DATA, digests={})
    duties.prepare()
    assert visitor.get(f"{PATH}SHA256SUMS").status_code == 404

    work()

    digest = hashlib.sha256(DATA).hexdigest().encode()
    assert digest in visitor.get(f"{PATH}SHA256SUMS").content


def test_the_combined_digest_is_that_of_archive_and_data(
    visitor: Any, family: Any, add: Any
) -> None:
    family()
    add("1", DATA)
    work()
    archive = visitor.get(f"{PATH}meta.tar.xz").content

    prepared = PreparedVersion.objects.get()
    assert prepared.combined_sha256 == hashlib.sha256(archive + DATA).hexdigest()
    assert (
        prepared.combined_sha256.encode()
        in visitor.get("/pub/streams/v1/images.json").content
    )


@pytest.mark.parametrize(
    ("fields", "extension"),
    [
        ({"disk_format": "raw"}, "raw"),
        ({"disk_format": "iso"}, "iso"),
        ({"disk_format": "vmdk", "container_format": "ova"}, "ova"),
        ({"disk_format": "raw", "container_format": "compressed"}, "raw.gz"),
    ],
)
def test_the_format_of_the_data_names_the_file(
    fields: Any, extension: str, visitor: Any, family: Any, add: Any
) -> None:
    family()
    add("1", gzip.compress(DATA), **fields)
    work()

    assert visitor.get(f"{PATH}debian-13-1.{extension}").status_code == 200
    assert PreparedVersion.objects.get().combined_sha256 == ""


def test_raw_disks_can_have_the_extension_of_proxmox(
    settings: Any, visitor: Any, family: Any, add: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH_RAW_EXTENSION = "img"
    family()
    add("1", disk_format="raw")
    work()

    assert visitor.get(f"{PATH}debian-13-1.img").status_code == 200


def test_data_that_has_changed_is_not_published(
    visitor: Any, family: Any, add: Any
) -> None:
    family()
    image = add("1", DATA, digests={"sha256": "0" * 64})
    work()

    assert visitor.get(f"{PATH}SHA256SUMS").status_code == 404
    prepared = PreparedVersion.objects.get()
    assert f"image_verify {image.pk}" in prepared.error
    assert prepared.attempts == 2  # and it is tried again later
    duties.prepare()
    assert PreparedVersion.objects.get().attempts == 2


def test_doctor_names_a_version_that_cannot_be_published(family: Any, add: Any) -> None:
    family()
    add("1", DATA, digests={"sha256": "0" * 64})
    work()
    assert [it.status for it in doctor.versions()] == ["ok"]

    PreparedVersion.objects.update(attempts=preparation.TRIES)

    (told,) = doctor.versions()
    assert told.status == "warn"
    assert "1 of debian-13" in told.text


def test_each_version_has_one_worker(
    family: Any, add: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    family()
    add("1")
    tried = []
    prepare = preparation._prepare

    def prepare_beside_another(*args: Any) -> None:
        tried.append(args)
        preparation.prepare_due()  # of another worker
        prepare(*args)

    monkeypatch.setattr(preparation, "_prepare", prepare_beside_another)
    preparation.prepare_due()

    assert len(tried) == 1
    assert PreparedVersion.objects.get().ready_at


def test_only_what_can_be_listed_is_prepared(
    settings: Any, family: Any, add: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH_VERSIONS = 2
    family()
    for label in ("1", "2", "3"):
        add(label, label.encode())
    families.promote(COMMAND, "debian-13", "3")
    add("4", promote=False)
    work()

    prepared = PreparedVersion.objects.exclude(ready_at=None)
    labels = prepared.values_list("version__label", flat=True)
    assert sorted(labels) == ["2", "3", "4"]
