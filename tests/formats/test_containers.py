"""Inspection of real tar and gzip files, and of hand-made ones that readers disagree upon."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from images.formats import compressed
from images.formats.compressed import UNKNOWN, Budget
from tests.qemu import MIB, inspect, outcome, refusal, with_footer

COMPRESSORS = [gzip.compress, bz2.compress, lzma.compress]
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

    assert said is None if "comment" in pax else "about all files" in said


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


@pytest.mark.parametrize("container", ["ova", "docker", "compressed"])
def test_what_is_not_what_its_container_says_is_refused(made, container):
    for data in (b"no archive" * 1000, b"short", made("vmdk"), UNSAFE):
        assert f"container_format {container} needs" in refusal(data, "raw", container)
    assert inspect(b"", "raw", container) is None


def test_an_ova_that_is_compressed_itself_is_refused():
    said = refusal(gzip.compress(packed(("a", XML))), "vmdk", "ova")

    assert "needs an uncompressed tar archive, and the data is gzip data" in said
    assert "Set container_format" in said
    assert "No setting allows it" in said


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_data_is_docker_only_with_an_archive_in_it(compress):
    for data in (b"x" * 4096, compress(packed(("layer.tar", b"x" * 512)))):
        assert "needs a tar archive" in refusal(compress(data), "raw", "docker")


def test_the_file_systems_in_a_docker_archive_are_not_looked_into():
    layer = packed(("tests/data/unsafe.qed", UNSAFE))

    assert inspect(packed(("layer.tar", layer)), "raw", "docker") is None
    assert inspect(gzip.compress(packed(("layer.tar", layer))), "raw", "docker") is None


@pytest.mark.parametrize("compress", COMPRESSORS)
@pytest.mark.parametrize("block", [1, 4000, MIB])
def test_compressed_files_in_an_ova_are_opened(made, compress, block):
    safe = packed(("d.ovf", XML), ("d.vmdk.x", compress(made("vmdk-stream"))))
    unsafe = packed(("d.ovf", XML), ("d.vmdk.x", compress(UNSAFE)))

    if block > 1:
        assert inspect(safe, "vmdk", "ova", block=block) is None
    assert "not allowed" in refusal(unsafe, "vmdk", "ova", block=block)


def test_archives_in_an_ova_are_opened():
    inner = packed(("disk", UNSAFE))

    assert "not allowed" in refusal(packed(("x.tar", inner)), "vmdk", "ova")
    compressed = packed(("x.tar.gz", gzip.compress(inner)))
    assert "not allowed" in refusal(compressed, "vmdk", "ova")


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("container", ["ova", "compressed"])
def test_unknown_compressions_are_refused_by_name(name, container):
    for magic in UNKNOWN[name]:
        data = magic.ljust(2000, b"x")
        data = packed(("disk", data)) if container == "ova" else data

        said = refusal(data, "raw", container)

        assert f"{name} data cannot be looked into" in said
        assert "gzip, bzip2 or xz" in said
        assert inspect(magic.ljust(2000, b"x"), "raw") == 2000


def test_a_second_archive_behind_the_end_of_an_ova_is_refused():
    ova = packed(("a", XML))

    assert "behind its end" in refusal(ova + packed(("b", UNSAFE)), "vmdk", "ova")
    assert "behind its end" in refusal(ova + UNSAFE, "vmdk", "ova", block=700)
    assert inspect(ova + bytes(99_999), "vmdk", "ova") is None


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_links_in_an_ova_are_refused(kind):
    ova = packed(("a", XML))[:1024] + header(kind, 0) + bytes(1024)

    assert "is a link" in refusal(ova, "vmdk", "ova")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../disk", "a/../../b", "a/..", "a\\..\\b", f"{'n' * 200}/../é"],
)
def test_names_that_lead_out_of_an_ova_are_refused(name, kind):
    if len(name) > 100 and kind == tarfile.USTAR_FORMAT:
        name = f"{'n' * 90}/../{'m' * 90}"  # needs the field for a prefix

    assert "leads out of it" in refusal(packed((name, XML), kind=kind), "vmdk", "ova")


@pytest.mark.parametrize("name", ["a..b", "...", "..a/b", "a/b.."])
def test_dots_in_a_name_lead_nowhere(name):
    assert inspect(packed((name, XML)), "vmdk", "ova") is None


OVF = """<?xml version='1.0' encoding='UTF-8'?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:o="http://schemas.dmtf.org/ovf/envelope/1" xmlns:r="urn:rasd">
  <References><File o:id="f" o:href="{href}"/></References>
  <DiskSection><Disk o:diskId="d" o:fileRef="f" o:capacity="8"/></DiskSection>
  <VirtualSystem><Item><r:HostResource>{resource}</r:HostResource></Item></VirtualSystem>
</Envelope>"""


def ovf(href="disk.vmdk", resource="ovf:/disk/d", encoding="UTF-8"):
    text = OVF.format(href=href, resource=resource).replace("UTF-8", encoding)
    return text.encode(encoding)


@pytest.mark.parametrize(
    "reference",
    [
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "&#x66;ile:///etc/passwd",
        "file%3A///etc/passwd",
        " file:///etc/passwd",
        "https://192.0.2.1/disk.vmdk",
        "/etc/passwd",
        "\\\\host\\share",
        "../disk.vmdk",
        "a/%2e%2e/%2E./disk.vmdk",
        "C:/disk.vmdk",
    ],
)
@pytest.mark.parametrize("block", [7, MIB])
def test_an_ovf_that_refers_to_other_files_is_refused(reference, block):
    for data in (ovf(reference), ovf(reference, encoding="UTF-16")):
        ova = packed(("A.OVF", data), ("disk.vmdk", b""))

        assert "not in the package" in refusal(ova, "vmdk", "ova", block=block)
        assert "not in the package" in refusal(data, "vmdk", "ovf", block=block)


def test_an_ovf_that_refers_to_its_own_files_passes():
    for data in (ovf(), ovf("a/disk%201.vmdk"), ovf("..a"), ovf(encoding="UTF-16")):
        assert inspect(packed(("a.ovf", data)), "vmdk", "ova", block=100) is None
        assert inspect(data, "vmdk", "ovf") is None


@pytest.mark.parametrize("begin", [b"<<< A Virtual Disk Image >>>", b"<x", b"<"])
def test_an_angle_bracket_makes_no_ovf(begin):
    assert inspect(begin.ljust(2000, b"\0"), "raw", "ovf") is None


def test_a_host_resource_that_is_a_file_of_the_host_is_refused():
    data = ovf(resource="file:///dev/sda")

    assert "not in the package" in refusal(packed(("a.ovf", data)), "vmdk", "ova")


@pytest.mark.parametrize(
    "text",
    [
        b"<!DOCTYPE x [<!ENTITY a 'file:'>]><x/>",
        b"<a></b>",
        b"<a>",
        b"<?xml version='1.0' encoding='klingon'?><a/>",
        b"<a>" + b" " * (5 * MIB) + b"</a>",
    ],
)
def test_an_ovf_that_cannot_be_read_is_refused(text):
    assert "Its OVF descriptor" in refusal(packed(("a.ovf", text)), "vmdk", "ova")


@pytest.mark.parametrize("compress", COMPRESSORS)
@pytest.mark.parametrize("block", [1, 700, MIB])
def test_compressed_data_is_inspected(made, compress, block):
    unsafe, safe = compress(UNSAFE), compress(made("qcow2")[: 200 << 10])

    assert "not allowed" in refusal(unsafe, "raw", "compressed", block=block)
    assert inspect(safe, "qcow2", "compressed", block=block) is None


def test_data_that_is_compressed_several_times_is_opened():
    assert "not allowed" in refusal(
        bz2.compress(gzip.compress(lzma.compress(UNSAFE))), "raw", "compressed"
    )
    layers = UNSAFE
    for _ in range(5):
        layers = gzip.compress(layers)
    assert "more than 4 layers" in refusal(layers, "raw", "compressed")


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_a_disk_whose_headers_come_late_is_decompressed_further(made, compress):
    assert inspect(compress(made("vhdx")), "vhdx", "compressed") is None
    disk = with_footer(made("vmdk"))
    assert inspect(compress(disk), "vmdk", "compressed") is None
    assert "footer" in refusal(compress(disk[:-512]), "vmdk", "compressed")


def test_a_disk_that_needs_its_end_may_be_larger_than_16_mebibytes(made):
    disk = with_footer(made("vmdk") + bytes(17 * MIB))

    assert inspect(gzip.compress(disk, 1), "vmdk", "compressed") is None


@pytest.fixture
def small_budget(monkeypatch):
    def few(self):
        self.examined = self.verified = 3 * MIB

    monkeypatch.setattr(compressed, "COST", dict.fromkeys(compressed.COST, 1))
    monkeypatch.setattr(Budget, "__init__", few)


@pytest.mark.slow
@pytest.mark.parametrize("compress", COMPRESSORS)
def test_decompression_is_bounded(made, compress, small_budget):
    late = compress(with_footer(made("vmdk-stream") + bytes(17 * MIB)))
    early = compress(bytes(17 * MIB))

    assert "Upload it uncompressed" in refusal(late, "vmdk", "compressed")
    assert inspect(early, "raw", "compressed") is None


def test_the_files_of_an_ova_share_one_budget(made, small_budget):
    disk = gzip.compress(with_footer(made("vmdk-stream") + bytes(2 * MIB)))
    early = gzip.compress(bytes(2 * MIB))

    assert inspect(packed(*[("x", early)] * 3), "vmdk", "ova") is None
    said = refusal(packed(*[("x", disk)] * 3), "vmdk", "ova")
    assert "Upload it uncompressed" in said


def test_xz_data_that_needs_much_memory_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20}]

    said = refusal(lzma.compress(XML, filters=filters), "raw", "compressed")

    assert "xz data" in said
    assert "emory" in said


@pytest.mark.slow
@pytest.mark.parametrize("compress", COMPRESSORS)
@pytest.mark.parametrize("cut", [1, 5, 100])
def test_compressed_data_that_is_cut_off_is_refused(compress, cut):
    data = compress(random.Random(1).randbytes(2 * MIB))

    assert "ends too early" in refusal(data[:-cut], "raw", "compressed")
    ova = packed(("disk", data[:-cut]))
    assert "ends too early" in refusal(ova, "raw", "ova")


def test_a_disk_in_the_second_part_of_compressed_data_is_found():
    for compress in COMPRESSORS:
        data = compress(b"") + compress(UNSAFE)

        for block in (1, 7, MIB):
            assert "not allowed" in refusal(data, "raw", "compressed", block=block)


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_only_zeros_may_follow_compressed_data(compress):
    data = compress(XML)

    for block in (1, 7, MIB):
        assert inspect(data + bytes(700), "raw", "compressed", block=block) is None
        for rest in (b"x", bytes(9) + XML, UNSAFE):
            said = refusal(data + rest, "raw", "compressed", block=block)
            assert "something else behind" in said


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_damaged_compressed_data_is_refused(compress):
    compressed = bytearray(compress(random.Random(1).randbytes(99)))
    for place in range(len(compressed) // 2, len(compressed) // 2 + 8):
        compressed[place] ^= 0xFF

    assert "damaged" in refusal(bytes(compressed), "raw", "compressed")


def test_compressed_data_of_very_many_parts_is_refused():
    for compress in COMPRESSORS:
        assert "too many parts" in refusal(compress(b"") * 200, "raw", "compressed")


def test_a_compressed_kernel_may_look_like_a_partition_table():
    table = b"\0" * 4 + b"\xee" + bytes(3) + b"\x02\0\0\0" * 2
    kernel = bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"

    assert inspect(gzip.compress(kernel), "aki", "compressed") is None
    assert "gpt_mbr" in refusal(gzip.compress(kernel), "raw", "compressed")


CONTAINED = [
    packed(("a", XML), ("b", UNSAFE[:4] + bytes(600))),
    packed(("n" * 200, XML), ("b", bytes(600))),
    gzip.compress(XML) * 3,
    gzip.compress(UNSAFE) + XML,
    bz2.compress(XML) * 2,
    lzma.compress(XML) * 2,
    packed(("a.ovf", ovf()), ("b", bz2.compress(XML))),
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
