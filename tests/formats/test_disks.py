"""Inspection against real images of qemu-img, hand-made disks, cut-off and random bytes."""

from __future__ import annotations

import gc
import struct

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from oslo_utils.imageutils import format_inspector as oslo

from images.errors import ContentRefused
from images.formats import inspection
from images.formats.detection import FORMATS, HEAD
from images.formats.qcow2 import Qcow2
from tests.qemu import (
    DISK,
    MIB,
    QEMU_IMAGES,
    inspect,
    outcome,
    qemu_img,
    refusal,
    with_footer,
)

INSPECTABLE = ("raw", "qcow2", "vhd", "vhdx", "vmdk", "vdi", "iso", "gpt", "luks")
UNINSPECTABLE = ("ami", "ari", "aki", "ploop")
OPAQUE = ("bare", "ovf", "ami", "ari", "aki")  # whose data is a disk
CONTAINERS = ("bare", "ovf", "ova", "docker", "compressed", "ami", "ari", "aki")


def partition(kind=0x83, boot=0, first=2048, chs=(0, 2, 0)) -> bytes:
    return struct.pack("<B3BB3BII", boot, *chs, kind, 255, 255, 255, first, 4096)


def mbr(*partitions: bytes) -> bytes:
    table = b"".join(partitions).ljust(64, b"\0")
    return (bytes(446) + table + b"\x55\xaa").ljust(MIB, b"\0")


def iso(boot: bytes = b"") -> bytes:
    volume = bytearray(b"\x01CD001\x01".ljust(2048, b"\0"))
    struct.pack_into("<L", volume, 80, 512)
    struct.pack_into("<H", volume, 128, 2048)
    return boot[: 32 << 10].ljust(32 << 10, b"\0") + bytes(volume) + bytes(MIB)


GPT = mbr(partition(0xEE, first=1))


# What matches


@pytest.mark.parametrize("kind", QEMU_IMAGES)
def test_an_image_of_qemu_img_is_what_it_says(made, kind):
    assert inspect(made(kind), QEMU_IMAGES[kind][0]) == DISK


@pytest.mark.parametrize("kind", QEMU_IMAGES)
def test_any_safe_image_may_be_called_raw_and_counts_its_bytes(made, kind):
    assert inspect(made(kind), "raw") == len(made(kind))


@pytest.mark.parametrize("kind", QEMU_IMAGES)
def test_how_the_stream_is_cut_changes_nothing(made, kind):
    data, disk_format = made(kind), QEMU_IMAGES[kind][0]

    assert [
        outcome(data, disk_format, block=block) for block in (4095, 65536, len(data))
    ] == [DISK] * 3


@pytest.mark.parametrize("kind", QEMU_IMAGES)
def test_a_disk_under_a_wrong_name_is_refused(made, kind):
    for disk_format in {*INSPECTABLE, *UNINSPECTABLE} - {"raw", QEMU_IMAGES[kind][0]}:
        assert refusal(made(kind), disk_format).startswith(
            f"Image disk_format {disk_format} does not match stream data"
            f" {QEMU_IMAGES[kind][0]}."
        )


def test_raw_bytes_are_raw():
    assert inspect(b"x" * 1000, "raw") == 1000


@pytest.mark.parametrize("disk_format", UNINSPECTABLE)
def test_what_cannot_be_inspected_passes_without_a_virtual_size(disk_format):
    assert inspect(b"x" * 1000, disk_format) is None


@pytest.mark.parametrize("disk_format", [f for f in INSPECTABLE if f != "raw"])
def test_raw_bytes_under_the_name_of_a_format_are_refused(disk_format):
    assert refusal(b"x" * 1000, disk_format) == (
        f"Image disk_format {disk_format} does not match stream data raw."
        " Set disk_format to what the data is, or convert the data."
        " The operator can allow it: IMAGECATALOG_REQUIRE_FORMAT_MATCH=off."
    )


@pytest.mark.parametrize("disk_format", INSPECTABLE + UNINSPECTABLE)
def test_an_empty_stream_is_accepted_without_a_virtual_size(disk_format):
    assert inspect(b"", disk_format) is None


def test_a_partitioned_disk_is_gpt_and_counts_its_bytes():
    assert inspect(GPT, "gpt") == MIB
    assert inspect(mbr(partition()), "raw") == MIB
    assert "does not match stream data gpt" in refusal(GPT, "ami")


def test_the_size_of_an_iso_is_that_of_its_data():
    larger = iso() + bytes(MIB)  # a hybrid ISO has partitions behind the volume

    assert inspect(iso(), "iso") == len(iso())
    assert inspect(larger, "iso") == len(larger)


def test_an_iso_that_is_cut_off_is_refused_unless_the_operator_allows_it(settings):
    data = iso()[: 200 << 10]

    assert "The volume has 1048576 bytes" in refusal(data, "iso")
    assert inspect(data, "raw") == len(data)
    settings.IMAGECATALOG_FORMAT_CHECKS = ("iso_cut_off",)
    assert inspect(data, "iso") == len(data)


@pytest.mark.parametrize("identifier", [b"NSR02", b"NSR03"])
def test_a_udf_volume_is_an_iso(identifier):
    def sector(name):
        return (b"\0" + name + b"\1").ljust(2048, b"\0")

    area = sector(b"BEA01") + sector(identifier) + sector(b"TEA01")
    data = bytes(32 << 10) + area + bytes(MIB)

    assert inspect(data, "iso") == len(data)
    assert inspect(data.replace(identifier, b"?????"), "raw") == len(data)
    assert "stream data raw" in refusal(data.replace(identifier, b"?????"), "iso")


def test_a_hybrid_iso_is_an_iso_whatever_its_partition_table_says():
    hybrid = iso(boot=mbr(partition(0xEE, first=2)))

    assert inspect(hybrid, "iso") == len(hybrid)
    assert "stream data iso" in refusal(hybrid, "gpt")


def test_several_formats_at_once_are_refused_even_as_raw(made):
    both = iso(boot=made("qcow2"))

    assert "several formats at once: iso, qcow2" in refusal(both, "raw")


def test_a_luks_header_without_its_payload_is_refused(made):
    assert "no possible virtual size" in refusal(made("luks")[: 4 << 10], "luks")


# When it is decided


def test_a_wrong_format_is_refused_within_the_first_mebibyte():
    inspector = inspection("qcow2", "bare")

    with pytest.raises(ContentRefused):
        inspector.feed(bytes(HEAD))
    with pytest.raises(ContentRefused):
        inspector.verdict()


def test_an_unsafe_image_is_refused_within_the_first_mebibyte(made):
    unsafe = b"QED\x00" + bytes(HEAD)

    with pytest.raises(ContentRefused, match="not allowed"):
        inspection("raw", "ovf").feed(unsafe)


@pytest.mark.slow
@pytest.mark.parametrize("kind", QEMU_IMAGES)
def test_an_image_cut_off_anywhere_ends_in_a_verdict(made, kind):
    data, disk_format = made(kind), QEMU_IMAGES[kind][0]

    for end in [*range(1, 1024, 37), *range(1024, 600 << 10, 1024)]:
        assert isinstance(outcome(data[:end], disk_format), int | str)
        assert outcome(data[:end], "raw") in (
            end,
            outcome(data[:end], "raw", block=999),
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", QEMU_IMAGES)
def test_no_inspector_waits_for_the_garbage_collector(made, kind):
    data = made(kind)
    gc.collect()
    gc.disable()
    try:
        outcome(data, QEMU_IMAGES[kind][0])
        left = [one for one in gc.get_objects() if isinstance(one, oslo.FileInspector)]
    finally:
        gc.enable()

    assert left == []


@pytest.mark.parametrize("end", [100, 511, 70_000, 260 << 10, 2 * MIB])
def test_a_vhdx_without_all_of_its_headers_is_refused(made, end):
    assert "incomplete" in refusal(made("vhdx")[:end], "vhdx")


# What is unsafe


def child(tmp_path, *options: str) -> bytes:
    """An image that needs another file."""
    qemu_img("create", "-f", "raw", "parent.raw", str(DISK), cwd=tmp_path)
    qemu_img("create", *options, "child", cwd=tmp_path)
    return (tmp_path / "child").read_bytes()


@pytest.mark.parametrize(
    ("disk_format", "container"),
    [("raw", "bare"), *(("qcow2", c) for c in OPAQUE)],
)
def test_a_backing_file_is_refused_everywhere(tmp_path, disk_format, container):
    data = child(tmp_path, *["-f", "qcow2", "-b", "parent.raw", "-F", "raw"])

    assert refusal(data, disk_format, container) == (
        "Image failed safety checks: Image has a backing file (qcow2_backing_file)."
        " Make it one self-contained file with qemu-img convert. No setting allows it."
    )


def test_a_separate_data_file_is_refused(tmp_path):
    data = child(tmp_path, "-f", "qcow2", "-o", f"data_file=parent.raw,size={DISK}")

    assert "data_file" in refusal(data, "qcow2")


def test_the_parent_disk_of_a_vmdk_is_refused(tmp_path):
    qemu_img("create", "-f", "vmdk", "parent", str(DISK), cwd=tmp_path)
    qemu_img(
        *["create", "-f", "vmdk", "-b", "parent", "-F", "vmdk", "child"], cwd=tmp_path
    )
    data = (tmp_path / "child").read_bytes()

    assert "parent disk" in refusal(data, "vmdk")
    assert "parent disk" in refusal(data, "raw")


EXTENT = b'createType="monolithicFlat"\nRW 16 FLAT "/etc/passwd" 0\n'


@pytest.mark.parametrize(
    "descriptor",
    [
        b"# Disk DescriptorFile\nversion=1\n" + EXTENT,
        b"# \xff\nversion=1\n" + EXTENT,
        b"\r\n  \r\nversion=3\r\n" + EXTENT,
        b"version=1\n" + EXTENT + b"#" * 2000 + b"\xff",
        b"version=1\n" + b"#" * 2 * MIB + b"\n" + EXTENT,
        b'version=1\ncreateType= monolithicFlat"\nRW 16 FLAT "/etc/passwd" 0\n',
    ],
)
@pytest.mark.parametrize("container", ["bare", "ovf"])
def test_a_vmdk_descriptor_never_passes_as_raw(descriptor, container):
    assert "names other files" in refusal(descriptor, "raw", container)


def test_a_vmdk_whose_extents_are_elsewhere_is_refused():
    header = struct.pack("<4sIIQQQQIQQ", b"KDMV", 1, 3, 0, 128, 1, 1, 512, 0, 0)
    visible = b'CREATETYPE="monolithicSparse"\nRW 16 ZERO\n'.ljust(511, b"#") + b"\n"
    data = (header.ljust(512, b"\0") + visible + EXTENT).ljust(MIB, b"\0")

    assert "no capacity in its header" in refusal(data, "vmdk")


def test_a_flat_vmdk_is_refused(made):
    data = made("vmdk").replace(b"monolithicSparse", b"monolithicFlat  ")

    assert "vmdk_descriptor" in refusal(data, "vmdk")


def test_a_vmdk_with_a_footer_is_read_to_its_end(made):
    assert inspect(with_footer(made("vmdk-stream")), "vmdk") == DISK
    assert inspect(with_footer(made("vmdk")), "vmdk", block=700) == DISK


@pytest.mark.parametrize("kind", ["vmdk", "vmdk-stream"])  # far beyond the head, within
def test_a_vmdk_whose_footer_is_wrong_or_missing_is_refused(made, kind):
    data = with_footer(made(kind))

    assert "vmdk_footer" in refusal(data[:-512], "vmdk")
    assert "vmdk_footer" in refusal(with_footer(made(kind), marker=1), "vmdk")


def test_a_vmdk_that_cannot_be_read_does_not_pass_as_raw(made):
    data = bytearray(made("vmdk"))
    data[4] = 9  # the version

    assert "cannot be read" in refusal(bytes(data), "raw")


@pytest.mark.parametrize("magic", [b"QFI\xfb", b"QED\x00"])
def test_a_disk_header_too_short_for_its_inspector_is_refused(magic):
    assert "within a disk header" in refusal(magic.ljust(511, b"\0"), "raw")


@pytest.mark.parametrize("container", OPAQUE)
def test_qed_is_refused_everywhere(container):
    assert "not allowed" in refusal(b"QED\x00".ljust(512, b"\0"), "raw", container)


@pytest.mark.parametrize("container", OPAQUE[1:])
def test_what_is_in_a_container_has_no_virtual_size(made, container):
    assert inspect(b"x" * 1000, "qcow2", container) is None
    assert inspect(made("qcow2"), "qcow2", container) is None


# Settings and accidents


def test_without_matching_a_wrong_format_is_accepted_with_a_warning(settings, caplog):
    settings.IMAGECATALOG_REQUIRE_FORMAT_MATCH = False

    assert inspect(b"x" * 1000, "qcow2") is None
    assert "does not match stream data raw" in caplog.text


def test_without_matching_unsafe_images_stay_refused(settings, tmp_path):
    settings.IMAGECATALOG_REQUIRE_FORMAT_MATCH = False
    data = child(tmp_path, *["-f", "qcow2", "-b", "parent.raw", "-F", "raw"])

    assert "backing file" in refusal(data, "iso")


class Crashing(Qcow2):
    def eat_chunk(self, chunk):
        super().eat_chunk(chunk)
        raise RuntimeError("a bug")


def test_an_inspector_that_crashes_is_not_believed(made, monkeypatch):
    monkeypatch.setitem(FORMATS, "qcow2", Crashing)

    assert inspect(b"x" * 1000, "raw") == 1000
    assert "cannot be read" in refusal(made("qcow2"), "qcow2")


MAGICS = st.sampled_from(
    [
        b"",
        b"QFI\xfb",
        b"QED\x00",
        b"vhdxfile",
        b"conectix",
        b"KDMV",
        b"COWD",
        b"LUKS\xba\xbe",
        b"# x\n",
        b"version=1\n",
        b"KDMV\x01\x00\x00\x00\x03\x00\x00\x00",
        b"LUKS\xba\xbe\x00\x01",
    ]
)


@effort(deadline=None)
@given(
    MAGICS,
    st.binary(max_size=3000),
    st.sampled_from(INSPECTABLE + UNINSPECTABLE),
    st.sampled_from(CONTAINERS),
    st.integers(1, 4000),
)
def test_random_bytes_get_one_verdict_however_cut(magic, tail, disk, container, block):
    data = magic + tail

    assert outcome(data, disk, container, block=block) == outcome(data, disk, container)


@effort(deadline=None)  # the first one makes the image
@given(st.data(), st.sampled_from(sorted(QEMU_IMAGES)))
def test_damaged_headers_get_one_verdict_however_cut(made, data, kind):
    image = bytearray(made(kind)[: 4 * MIB])
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.sampled_from([512, 1536, 256 << 10, 3 * MIB]))
        at = data.draw(st.integers(0, min(where, len(image) - 9)))
        image[at : at + 8] = data.draw(st.binary(min_size=8, max_size=8))

    for disk_format in (QEMU_IMAGES[kind][0], "raw"):
        assert outcome(image, disk_format, block=100_000) == outcome(image, disk_format)
