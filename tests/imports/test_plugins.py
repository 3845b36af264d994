"""Plugins in real imports: what comes out of them is the image, and passes all checks."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from images import errors, imports, lifecycle, stores, uploads
from images.access import Caller
from images.imports import ImportRequest, queue
from images.models import Image, Status, Transfer, TransferStatus
from images.operations import consistency
from tests.copies import waiting_copies, work
from tests.qemu import DISK, inspect
from tests.rows import current
from tests.web import allow_in_process, serving_folder
from tests.zips import zipped

MIB = 1 << 20
DATA = os.urandom(MIB) + bytes(2 * MIB)
PACKED = gzip.compress(DATA)
DIRECT = ImportRequest("glance-direct")
Make = Callable[..., Image]


@pytest.fixture(autouse=True)
def decompressing(settings: Any) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression",)


@pytest.fixture
def make(db: None, member: Caller) -> Make:
    """``make(container_format="compressed")``: a queued image of the member's project."""

    def make(**fields: Any) -> Image:
        formats = {"disk_format": "raw", "container_format": "bare"}
        return lifecycle.create(
            formats | {"owner": member.project} | fields, {}, [], member
        )

    return make


def imported(image: Image, data: bytes, member: Caller, **options: Any) -> Image:
    """The image after the import of staged data."""
    uploads.stage(image.pk, [data], member, **options)
    imports.request_import(image.pk, DIRECT, member)
    work()
    assert list(consistency.check(read_bytes=True)) == []
    return current(image)


def reason(image: Image) -> str:
    return Transfer.objects.filter(image=image).exclude(task_id=None).get().error


def test_staged_data_is_decompressed(make: Make, member: Caller) -> None:
    image = imported(make(), PACKED, member)

    assert (image.status, image.size) == (Status.ACTIVE, len(DATA))
    assert image.os_hash_value == hashlib.sha512(DATA).hexdigest()
    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_a_web_download_is_decompressed(
    make: Make, member: Caller, tmp_path: Path, settings: Any
) -> None:
    (web := tmp_path / "web").mkdir()
    (web / "disk.raw.gz").write_bytes(PACKED)
    image = make()
    with serving_folder(web) as url:
        allow_in_process(settings, url)
        wanted = ImportRequest("web-download", f"{url}/disk.raw.gz")
        imports.request_import(image.pk, wanted, member)
        work()

    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_what_is_not_compressed_is_imported_as_it_is(
    make: Make, member: Caller
) -> None:
    image = imported(make(), DATA, member)

    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_an_image_that_is_to_be_compressed_stays_so(make: Make, member: Caller) -> None:
    image = imported(make(container_format="compressed"), PACKED, member)

    assert b"".join(lifecycle.read(image.pk)) == PACKED


def test_without_the_plugin_nothing_is_decompressed(
    make: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ()

    image = imported(make(), PACKED, member)

    assert b"".join(lifecycle.read(image.pk)) == PACKED


def test_uploads_are_not_decompressed(make: Make, member: Caller) -> None:
    image = make()
    lifecycle.upload(image.pk, [PACKED], member)

    assert b"".join(lifecycle.read(image.pk)) == PACKED


def test_the_digests_that_a_client_states_are_those_of_what_it_sends(
    make: Make, member: Caller
) -> None:
    right = {"sha256": hashlib.sha256(PACKED).hexdigest()}
    wrong = {"sha256": hashlib.sha256(DATA).hexdigest()}

    one = imported(make(), PACKED, member, expected_digests=right)
    other = imported(make(), PACKED, member, expected_digests=wrong)

    assert (one.status, other.status) == (Status.ACTIVE, Status.QUEUED)
    assert "Digest mismatch" in reason(other)


def test_what_comes_out_is_inspected(make: Make, member: Caller) -> None:
    image = imported(make(disk_format="qcow2"), PACKED, member)

    assert image.status == Status.QUEUED
    assert list(stores.default().keys()) == []


def test_damaged_data_is_refused(make: Make, member: Caller) -> None:
    image = imported(make(), PACKED[:-1], member)

    assert image.status == Status.QUEUED
    assert "compression_cut_off" in reason(image)
    assert list(stores.default().keys()) == []


@pytest.mark.parametrize("bound", ["cap", "quota"])
def test_a_bomb_ends_at_the_cap_and_at_the_quota(
    bound: str, make: Make, member: Caller, settings: Any
) -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    image = make()
    uploads.stage(image.pk, [bomb], member)
    imports.request_import(image.pk, DIRECT, member)
    if bound == "cap":
        settings.IMAGECATALOG_IMAGE_SIZE_CAP = 8 * MIB
    else:
        settings.IMAGECATALOG_USER_STORAGE_QUOTA = 8 * MIB
    (waiting,) = waiting_copies()

    with pytest.raises(errors.OverLimit):
        queue.carry_out(waiting)

    assert current(image).status == Status.QUEUED
    assert Transfer.objects.get(pk=waiting).bytes_received < 12 * MIB
    assert list(stores.default().keys()) == []


def test_an_import_that_was_interrupted_still_knows_what_was_stated(
    make: Make, member: Caller
) -> None:
    image = make()
    wrong = {"sha256": hashlib.sha256(DATA).hexdigest()}
    uploads.stage(image.pk, [PACKED], member, expected_digests=wrong)
    imports.request_import(image.pk, DIRECT, member)
    (first,) = waiting_copies()
    with pytest.raises(errors.ServerStopping):
        queue.carry_out(first, lambda: True)
    again = Transfer.objects.get(status=TransferStatus.WAITING)
    assert (again.bytes_expected, again.expected_digests) == (len(PACKED), wrong)

    work()

    assert current(image).status == Status.QUEUED


# Conversion


@pytest.fixture
def converting(settings: Any) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression", "image_conversion")


TAIL = bytes(8 * MIB)
EMPTY_BLOCKS = b"\x1f\x8b\x08" + bytes(7) + b"\0\0\0\xff\xff" * (8 * MIB // 5)


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"x") + TAIL, zipped(b"x") + TAIL, EMPTY_BLOCKS],
    ids=["zeros behind gzip", "zeros behind zip", "empty blocks"],
)
def test_an_import_gives_heartbeats_while_compressed_data_yields_nothing(
    data: bytes, make: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_LEASE_SECONDS = 0  # a heartbeat at every step
    image = make()
    uploads.stage(image.pk, [data], member)
    imports.request_import(image.pk, DIRECT, member)
    (waiting,) = waiting_copies()
    read = 0  # blocks of 1 MiB

    def delete_at_the_third_block() -> bool:
        nonlocal read
        read += 1
        if read == 3:
            lifecycle.delete(image.pk, member)
        return False

    with pytest.raises(errors.Gone):
        queue.carry_out(waiting, delete_at_the_third_block)

    assert read == 3  # the next heartbeat has found the transfer ended


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_disk_is_converted_after_it_was_decompressed(
    pack: Callable[[bytes], bytes],
    converting: None,
    make: Make,
    made: Any,
    member: Caller,
) -> None:
    image = imported(make(disk_format="qcow2"), pack(made("qcow2")), member)

    assert (image.status, image.disk_format) == (Status.ACTIVE, "raw")
    assert image.size == image.virtual_size == DISK
    assert b"".join(lifecycle.read(image.pk)) == b"payload!" * (DISK // 8)


def test_a_disk_can_be_converted_to_another_format(
    converting: None, make: Make, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_CONVERSION_FORMAT = "qcow2"

    image = imported(make(), DATA, member)

    assert (image.disk_format, image.virtual_size) == ("qcow2", len(DATA))
    assert inspect(b"".join(lifecycle.read(image.pk)), "qcow2") == len(DATA)


@pytest.mark.parametrize(
    ("formats", "output"),
    [
        ({"disk_format": "raw"}, "raw"),
        ({"disk_format": "aki", "container_format": "aki"}, "qcow2"),
    ],
)
def test_other_data_is_not_converted(
    formats: dict[str, str],
    output: str,
    converting: None,
    make: Make,
    member: Caller,
    settings: Any,
) -> None:
    settings.IMAGECATALOG_CONVERSION_FORMAT = output

    image = imported(make(**formats), DATA, member)

    assert image.disk_format == formats["disk_format"]
    assert b"".join(lifecycle.read(image.pk)) == DATA


@pytest.mark.parametrize("kind", ["vmdk", "garbage"])
def test_a_conversion_that_fails_leaves_the_image_as_it_was(
    kind: str, converting: None, make: Make, made: Any, member: Caller, data_dir: Path
) -> None:
    data = made(kind) if kind == "vmdk" else b"QFI\xfb" + os.urandom(MIB)

    image = imported(make(disk_format="qcow2"), data, member)

    assert (image.status, image.disk_format) == (Status.QUEUED, "qcow2")
    assert list(stores.default().keys()) == []
    assert [path.name for path in data_dir.iterdir()] == ["images"]


def test_an_interrupted_conversion_is_repeated_from_the_same_data(
    converting: None, make: Make, made: Any, member: Caller
) -> None:
    image = make(disk_format="qcow2")
    uploads.stage(image.pk, [made("qcow2")], member)
    imports.request_import(image.pk, DIRECT, member)
    (first,) = waiting_copies()
    asked = iter([False] * 3)
    with pytest.raises(errors.ServerStopping):
        queue.carry_out(first, lambda: next(asked, True))
    assert current(image).disk_format == "qcow2"

    work()

    assert (current(image).status, current(image).disk_format) == ("active", "raw")


def test_a_conversion_ends_when_its_image_is_deleted(
    converting: None, make: Make, made: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_LEASE_SECONDS = 0  # a heartbeat at every step
    image = make(disk_format="qcow2")
    uploads.stage(image.pk, [made("qcow2")], member)
    imports.request_import(image.pk, DIRECT, member)
    (waiting,) = waiting_copies()
    asked = iter([False] * 3)

    def delete_once() -> bool:
        if next(asked, True) and current(image).status != Status.DELETED:
            lifecycle.delete(image.pk, member)
        return False

    with pytest.raises(errors.Gone):
        queue.carry_out(waiting, delete_once)

    assert not Image.objects.get(pk=image.pk).locations.exists()


def test_a_disk_beyond_the_quota_is_not_converted(
    converting: None, make: Make, made: Any, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = DISK - 1

    image = imported(make(disk_format="vmdk"), made("vmdk-stream"), member)

    assert image.status == Status.QUEUED
    assert image.transfers.filter(error__contains="that the image may have").exists()
    assert list(stores.default().keys()) == []
