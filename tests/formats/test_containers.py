"""Inspection of real tar and gzip files, and of hand-made ones that readers disagree upon."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tests.qemu import MIB, inspect, outcome, refusal, with_footer

UNSAFE = b"QED\x00".ljust(1024, b"\0")
XML = b"<?xml version='1.0'?><Envelope/>"


def packed(*files, kind=tarfile.GNU_FORMAT):
    """An archive of (name, data) pairs."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=kind) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return archive.getvalue()


def header(kind, size):
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf()


FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


@pytest.mark.parametrize("kind", FORMATS)
def test_an_ova_of_safe_disks_passes(made, kind):
    name = "n" * 90  # with this it is long enough for a header of its own
    files = [(f"{name}.ovf", XML), ("é.vmdk", made("vmdk-stream")), ("empty", b"")]

    assert inspect(packed(*files, kind=kind), "vmdk", "ova") is None
    assert inspect(packed((f"{name}/{name}", XML), kind=kind), "vmdk", "ova") is None


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("block", [1, 511, MIB])
def test_an_unsafe_disk_in_an_ova_is_refused(kind, block):
    ova = packed(("n" * 200 if kind else "n", XML), ("disk", UNSAFE), kind=kind)

    assert "not allowed" in refusal(ova, "vmdk", "ova", block=block)


def test_the_end_of_a_disk_in_an_ova_is_looked_at_too(made):
    disk = with_footer(made("vmdk"))

    assert inspect(packed(("disk.vmdk", disk), ("b", XML)), "vmdk", "ova") is None
    cut_off = packed(("disk.vmdk", disk[:-512]), ("b", XML))
    assert "footer" in refusal(cut_off, "vmdk", "ova")


@pytest.mark.parametrize("size", [700, 1100])
def test_an_ova_that_is_not_whole_is_refused(size):
    assert "whole" in refusal(packed(("disk", bytes(1000)))[:size], "vmdk", "ova")


@pytest.mark.parametrize(
    "forged",
    [
        {
            329: b"zzzzzzz\0"
        },  # the device's number, which is none: GNU tar does not mind
        {148: b"\0"},  # before the checksum: GNU tar skips it
        {124: b"\0"},  # before the size: for Python it is 0 then
        {257: b"xxxxx"},  # no magic, but the checksum is right
    ],
    ids=["device", "checksum", "size", "magic"],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_header_that_only_some_readers_take_hides_nothing(forged, first):
    files = [("disk", UNSAFE)] if first else [("a", XML), ("disk", UNSAFE)]
    ova = bytearray(packed(*files))
    begin = 0 if first else 1024
    for place, data in forged.items():
        ova[begin + place : begin + place + len(data)] = data
    if 148 not in forged:
        total = (
            sum(ova[begin : begin + 148]) + 256 + sum(ova[begin + 156 : begin + 512])
        )
        ova[begin + 148 : begin + 156] = b"%06o\0 " % total

    said = refusal(bytes(ova), "vmdk", "ova")

    assert "damaged" in said or "not allowed" in said


@pytest.mark.parametrize("pax", [{"comment": "by git"}, {"size": "3"}])
def test_a_header_about_all_files_is_read(pax):
    archive = io.BytesIO()
    with tarfile.open(
        fileobj=archive, mode="w", format=tarfile.PAX_FORMAT, pax_headers=pax
    ) as tar:
        info = tarfile.TarInfo("disk")
        info.size = len(XML)
        tar.addfile(info, io.BytesIO(XML))

    said = outcome(archive.getvalue(), "vmdk", "ova")

    assert said is None if "comment" in pax else "for all files" in said


def test_very_long_headers_are_refused():
    records = b"65535 a=".ljust(65534, b"x") + b"\n"
    extended = header(tarfile.XHDTYPE, len(records)) + records.ljust(1 << 16, b"\0")

    assert "too long" in refusal(extended * 17, "vmdk", "ova")


def test_a_damaged_header_is_refused():
    ova = bytearray(packed(("a", XML), ("b", XML)))
    ova[1024 + 3] ^= 1

    assert "damaged" in refusal(bytes(ova), "vmdk", "ova")


def test_sparse_files_are_refused(tmp_path):
    with (tmp_path / "disk").open("wb") as disk:
        disk.truncate(MIB)
        disk.seek(MIB)
        disk.write(UNSAFE)
    for kind in ("gnu", "pax"):
        words = ["tar", "-cSf", f"{kind}.ova", "--format", kind, "disk"]
        subprocess.run(words, cwd=tmp_path, check=True)

        assert "sparse" in refusal((tmp_path / f"{kind}.ova").read_bytes(), "", "ova")


def test_a_link_that_brings_data_is_refused():
    ova = header(tarfile.LNKTYPE, 512) + header(tarfile.REGTYPE, 1024) + UNSAFE

    assert "plain files" in refusal(ova, "vmdk", "ova")


@pytest.mark.parametrize(
    "records", [b"9 size=1\n", b"12 size=-10\n", b"x", b"99 a=b\n"]
)
def test_what_pax_says_of_the_size_holds_and_nonsense_is_refused(records):
    extended = header(tarfile.XHDTYPE, len(records)) + records.ljust(512, b"\0")
    # With a size of 1 what follows the first block would have to be a header.
    ova = extended + header(tarfile.REGTYPE, 1024) + b"x" * 1024

    assert "header" in refusal(ova, "vmdk", "ova")


def test_a_size_of_a_pax_header_reaches_over_the_whole_file():
    records = b"14 size=01024\n"
    extended = header(tarfile.XHDTYPE, len(records)) + records.ljust(512, b"\0")

    ova = extended + header(tarfile.REGTYPE, 0) + UNSAFE + bytes(1024)

    assert "not allowed" in refusal(ova, "vmdk", "ova")


def test_the_size_in_a_path_is_no_size():
    name = "d\n11 size=0\n/disk"

    ova = packed((f"é{name}", UNSAFE), kind=tarfile.PAX_FORMAT)

    assert "not allowed" in refusal(ova, "vmdk", "ova")


def test_very_many_files_are_refused():
    ova = packed(*((str(number), b"") for number in range(1001)))

    assert "1000 files" in refusal(ova, "vmdk", "ova")


def test_what_is_called_an_ova_and_is_no_tar_is_inspected_as_it_is(made):
    assert inspect(b"no archive" * 1000, "vmdk", "ova") is None
    assert inspect(made("vmdk"), "vmdk", "ova") is None
    assert "not allowed" in refusal(UNSAFE, "vmdk", "ova")


@pytest.mark.parametrize("block", [1, 700, MIB])
def test_what_gzip_compressed_is_inspected(made, block):
    unsafe, safe = gzip.compress(UNSAFE), gzip.compress(made("qcow2")[: 200 << 10])

    assert "not allowed" in refusal(unsafe, "raw", "compressed", block=block)
    assert inspect(safe, "qcow2", "compressed", block=block) is None


def test_a_disk_whose_headers_come_late_is_inflated_further(made):
    assert inspect(gzip.compress(made("vhdx")), "vhdx", "compressed") is None
    disk = with_footer(made("vmdk"))
    assert inspect(gzip.compress(disk), "vmdk", "compressed") is None
    assert "footer" in refusal(gzip.compress(disk[:-512]), "vmdk", "compressed")


def test_a_disk_that_is_not_known_after_16_mebibytes_is_refused(made):
    disk = with_footer(made("vmdk")).ljust(17 * MIB, b"\0")

    assert "Upload it uncompressed" in refusal(
        gzip.compress(disk), "vmdk", "compressed"
    )


def test_a_compressed_kernel_may_look_like_a_partition_table():
    table = b"\0" * 4 + b"\xee" + bytes(3) + b"\x02\0\0\0" * 2
    kernel = bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"

    assert inspect(gzip.compress(kernel), "aki", "compressed") is None
    assert "gpt_mbr" in refusal(gzip.compress(kernel), "raw", "compressed")


def test_only_the_first_mebibyte_is_inflated():
    noise = random.Random(1).randbytes(2 * MIB)
    compressed = gzip.compress(noise)[: MIB + MIB // 2] + b"no gzip any more"

    assert inspect(compressed, "raw", "compressed") is None


def test_a_disk_in_the_second_part_of_a_gzip_file_is_found():
    compressed = gzip.compress(b"") + gzip.compress(UNSAFE)

    assert "not allowed" in refusal(compressed, "raw", "compressed")


def test_anything_behind_a_gzip_file_is_passed_over():
    compressed = gzip.compress(XML) + b"\0" * 700

    assert inspect(compressed, "raw", "compressed") is None


def test_a_damaged_gzip_file_is_refused():
    compressed = bytearray(gzip.compress(random.Random(1).randbytes(99)))
    compressed[10] ^= 0xFF

    assert "damaged" in refusal(bytes(compressed), "raw", "compressed")


def test_a_gzip_file_of_very_many_parts_is_refused():
    assert "parts" in refusal(gzip.compress(b"") * 200, "raw", "compressed")


CONTAINED = [
    packed(("a", XML), ("b", UNSAFE[:4] + bytes(600))),
    packed(("n" * 200, XML), ("b", bytes(600))),
    gzip.compress(XML) * 3,
    gzip.compress(UNSAFE) + XML,
]


@effort(deadline=None)
@given(
    data=st.sampled_from(CONTAINED),
    changes=st.lists(st.tuples(st.integers(0, 2999), st.integers(0, 255)), max_size=9),
    cut=st.integers(0, 9999),
    container=st.sampled_from(["ova", "compressed"]),
    block=st.integers(1, 3000),
)
def test_damaged_containers_get_one_verdict_however_cut(
    data, changes, cut, container, block
):
    changed = bytearray(data)
    for place, byte in changes:
        changed[place % len(changed)] = byte
    changed = bytes(changed[:cut])

    assert outcome(changed, "raw", container, block=block) == outcome(
        changed, "raw", container
    )
