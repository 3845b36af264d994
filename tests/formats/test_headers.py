"""Headers that ask for another disk, that no consumer survives, or that only look dangerous."""

from __future__ import annotations

import struct

import pytest

from images.format_checks import RELAXABLE
from tests.qemu import DISK, MIB, inspect, outcome, qemu_img, refusal, with_footer


def changed(data: bytes, **places: bytes) -> bytes:
    """The data with bytes changed: ``at8=b"..."``."""
    changed = bytearray(data)
    for at, value in places.items():
        begin = int(at.removeprefix("at"))
        changed[begin : begin + len(value)] = value
    return bytes(changed)


def u32(value: int) -> bytes:
    return struct.pack(">I", value)


def u64(value: int) -> bytes:
    return struct.pack(">Q", value)


# qcow2


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ({"at20": u32(63)}, "clusters of 2^63 bytes"),
        ({"at20": u32(8)}, "clusters of 2^8 bytes"),
        ({"at36": u32(2**32 - 1)}, "an L1 table of 4294967295 entries"),
        ({"at24": u64(2**64 - 1)}, "an impossible virtual size"),
        ({"at56": u32(2**32 - 1)}, "a refcount table of 4294967295 clusters"),
        ({"at60": u32(2**32 - 1)}, "4294967295 snapshots"),
        ({"at40": u64(12345)}, "tables that do not begin with a cluster"),
        ({"at32": u32(3)}, "an unknown encryption"),
        ({"at96": u32(7)}, "refcounts of 2^7 bits"),
        ({"at100": u32(2**31)}, "a length of 2147483648 bytes"),
    ],
)
@pytest.mark.parametrize("disk_format", ["qcow2", "raw"])
def test_an_absurd_qcow2_header_is_refused(made, places, found, disk_format):
    said = refusal(changed(made("qcow2"), **places), disk_format)

    assert f"Its header has {found}" in said
    assert "(qcow2_header). Convert it again" in said


@pytest.mark.parametrize("version", [2, 3])
def test_a_qcow2_that_names_a_data_file_without_the_feature_bit_is_refused(version):
    header = struct.pack(
        *(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", version, 0, 0, 16, MIB, 0, 1),
        *(3 << 16, 1 << 16, 1, 0, 0, 0, 0, 0, 4, 104),
    )
    name = u32(0x44415441) + u32(11) + b"/etc/passwd".ljust(16, b"\0")
    other = u32(0x6803F857) + u32(48) + bytes(48)
    header = header[: 72 if version == 2 else 104]

    safe = (header + other + bytes(8)).ljust(4 << 16, b"\0")
    unsafe = (header + other + name + bytes(8)).ljust(4 << 16, b"\0")

    assert inspect(safe, "qcow2") == MIB
    assert "names a data file" in refusal(unsafe, "qcow2")
    assert "names a data file" in refusal(unsafe, "raw", block=100)


def test_a_qcow2_with_endless_extensions_is_refused(made):
    data = changed(made("qcow2"), at112=u32(0x6803F857) + u32(2**31))

    assert "endless extensions" in refusal(data, "qcow2")


def test_a_qcow2_that_ends_before_its_tables_is_refused(made):
    data = made("qcow2")

    assert "ends before its tables" in refusal(data[: 3 << 16], "qcow2")
    assert inspect(data[: (3 << 16) + 8], "qcow2") == DISK


def test_a_corrupt_qcow2_is_refused_unless_the_operator_allows_it(made, settings):
    data = changed(made("qcow2"), at79=b"\x02")

    said = refusal(data, "qcow2")
    assert "qemu-img check -r all" in said
    assert (
        "The operator can allow it: IMAGECATALOG_FORMAT_CHECKS=qcow2_corrupt." in said
    )
    settings.IMAGECATALOG_FORMAT_CHECKS = ("qcow2_corrupt",)
    assert inspect(data, "qcow2") == DISK


def test_unknown_features_of_a_qcow2_are_refused(made):
    for byte in (1 << 5, 1 << 7):
        data = changed(made("qcow2"), at79=bytes((byte,)))
        assert "Unknown qcow2 features" in refusal(data, "qcow2")
    assert "Unknown" in refusal(changed(made("qcow2"), at72=b"\x80"), "raw")
    assert "Unsupported" in refusal(changed(made("qcow2"), at4=u32(4)), "raw")


# VHD


def checksummed(footer: bytes) -> bytes:
    total = ~sum(footer[:64] + footer[68:]) & 0xFFFFFFFF
    return footer[:64] + u32(total) + footer[68:]


def vhd_with(data: bytes, *, copy: bool = True, end: bool = True, **places: bytes):
    """A dynamic VHD with changed footers."""
    footer = checksummed(changed(data[:512], **places))
    body = data[512:-512] if end else data[512:]
    return (footer if copy else data[:512]) + body + (footer if end else b"")


@pytest.mark.parametrize("disk_format", ["vhd", "raw"])
def test_a_differencing_vhd_is_refused(made, disk_format):
    data = vhd_with(made("vhd"), at60=u32(4))

    said = refusal(data, disk_format)

    assert "has a parent disk (vhd_parent)" in said
    assert "No setting allows it" in said


def test_a_vhd_that_is_differencing_by_one_of_its_footers_is_refused(made):
    for copy in (True, False):
        data = vhd_with(made("vhd"), copy=copy, end=not copy, at60=u32(4))
        assert "parent disk" in refusal(data, "vhd", block=1000)


@pytest.mark.parametrize(
    "places", [{"at48": u64(2 * DISK)}, {"at40": u64(1)}, {"at16": u64(1536)}]
)
def test_a_vhd_whose_footers_differ_is_refused(made, places):
    data = vhd_with(made("vhd"), copy=False, **places)

    assert "differs from the copy" in refusal(data, "vhd")
    assert "differs from the copy" in refusal(made("vhd")[:-512], "vhd")


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ({"at512": b"x"}, "no dynamic header"),
        ({"at540": u32(2**32 - 1)}, "a table of 4294967295 blocks"),
        ({"at540": u32(1)}, "too small for its virtual size"),
        ({"at544": u32(3)}, "blocks of 3 bytes"),
        ({"at60": u32(3), "at16": u64(2**40)}, "no dynamic header"),
    ],
)
def test_an_absurd_vhd_header_is_refused(made, places, found):
    assert found in refusal(changed(made("vhd"), **places), "vhd")


def fixed(tmp_path, content: bytes) -> bytes:
    """A fixed VHD of qemu-img with this content."""
    (tmp_path / "raw").write_bytes(content)
    options = ["-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on"]
    qemu_img("convert", *options, "raw", "vhd", cwd=tmp_path)
    return (tmp_path / "vhd").read_bytes()


def test_a_fixed_vhd_is_recognised_at_its_end(tmp_path):
    mbr = bytes(446) + b"\0\0\2\0\x83" + bytes(3) + u32(1) * 2 + bytes(48) + b"\x55\xaa"
    for content in (bytes(DISK), mbr.ljust(DISK, b"\0"), bytes(100 << 10)):
        data = fixed(tmp_path, content)

        assert inspect(data, "vhd") == len(content)
        assert inspect(data, "vhd", block=777) == len(content)
        assert inspect(data, "raw") == len(data)
        assert "does not match" in refusal(data, "qcow2")
        assert "does not match" in refusal(data[:-1], "vhd")
        assert "less data" in refusal(data[512:], "vhd")


def test_what_is_in_a_fixed_vhd_is_not_passed_over(tmp_path, made):
    data = fixed(tmp_path, made("qcow2").ljust(DISK * 2, b"\0"))

    assert "does not match stream data qcow2" in refusal(data, "vhd")


@pytest.mark.parametrize(("kind", "found"), [(4, "parent disk"), (3, "no copy")])
def test_a_footer_alone_makes_no_dynamic_vhd(tmp_path, kind, found):
    data = fixed(tmp_path, bytes(DISK))
    data = data[:-512] + checksummed(changed(data[-512:], at60=u32(kind)))

    assert found in refusal(data, "vhd")


# VHDX


def vhdx_item(data: bytes, guid: str) -> tuple[int, int]:
    """Return the positions of the entry and of the value of a metadata item."""
    metadata = data.index(b"metadata\0\0")
    raw = bytes.fromhex(guid.replace("-", ""))
    entry = data.index(raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:], metadata)
    return entry, metadata + int.from_bytes(data[entry + 16 : entry + 20], "little")


PARAMETERS = "CAA16737-FA36-4D43-B3B6-33F0AA44E76B"
PAGE83 = "BECA12AB-B2E6-4523-93EF-C309E000C746"
LOCATOR = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")


@pytest.mark.parametrize("disk_format", ["vhdx", "raw"])
def test_a_vhdx_with_a_parent_is_refused(made, disk_format):
    data = made("vhdx")
    _, parameters = vhdx_item(data, PARAMETERS)
    page83, _ = vhdx_item(data, PAGE83)

    by_flag = changed(data, **{f"at{parameters + 4}": b"\x02"})
    by_locator = changed(data, **{f"at{page83}": LOCATOR})

    assert "parent disk (vhdx_parent)" in refusal(by_flag, disk_format)
    assert "parent disk (vhdx_parent)" in refusal(by_locator, disk_format)


def test_a_vhdx_with_blocks_of_no_possible_size_is_refused(made):
    _, parameters = vhdx_item(made("vhdx"), PARAMETERS)
    for block in (0, 3 << 20, 1 << 31):
        value = struct.pack("<I", block)
        data = changed(made("vhdx"), **{f"at{parameters}": value})
        assert f"blocks of {block} bytes" in refusal(data, "vhdx")


def test_a_vhdx_with_a_second_region_table_of_its_own_is_refused(made):
    data = changed(made("vhdx"), **{f"at{(256 << 10) + 20}": b"x"})

    assert "region tables differ" in refusal(data, "vhdx")


def test_a_vhdx_with_changes_in_its_log_is_refused(made):
    data = made("vhdx")
    first, second = 64 << 10, 128 << 10
    current = max(first, second, key=lambda at: data[at + 8 : at + 16][::-1])

    assert "(vhdx_log)" in refusal(changed(data, **{f"at{current + 48}": b"x"}), "vhdx")


# VDI


@pytest.mark.parametrize("disk_format", ["vdi", "raw"])
def test_a_vdi_with_a_parent_is_refused(made, disk_format):
    for places in ({"at76": b"\x04"}, {"at424": b"x" * 16}, {"at440": b"x" * 16}):
        data = changed(made("vdi"), **places)
        assert "parent disk (vdi_parent)" in refusal(data, disk_format)


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ({"at76": b"\x07"}, "the unknown type 7"),
        ({"at376": b"\x03\0\0\0"}, "of 3 bytes"),
        ({"at384": b"\xff" * 4}, "4294967295 blocks"),
        ({"at384": b"\0" * 4}, "fewer blocks than its virtual size needs"),
        ({"at384": b"\0\0\0\x01"}, "ends before its tables"),
    ],
)
def test_an_absurd_vdi_header_is_refused(made, places, found):
    assert found in refusal(changed(made("vdi"), **places), "vdi")


# VMDK


def with_descriptor(data: bytes, change) -> bytes:
    """A sparse VMDK whose descriptor has been changed."""
    length = 512 * int.from_bytes(data[36:44], "little")
    text = change(data[512 : 512 + length].partition(b"\0")[0])
    return data[:512] + text.ljust(length, b"\0") + data[512 + length :]


def described(made, old: bytes, new: bytes) -> bytes:
    return with_descriptor(made("vmdk"), lambda text: text.replace(old, new, 1))


@pytest.mark.parametrize("name", ["Käse", "奶酪", "a b", "a..b"])
@pytest.mark.parametrize("kind", ["monolithicSparse", "streamOptimized"])
def test_a_vmdk_may_have_any_name(tmp_path, name, kind):
    file = tmp_path / f"{name}.vmdk"
    qemu_img(
        *["create", "-f", "vmdk", "-o", f"subformat={kind}", file.name, str(DISK)],
        cwd=tmp_path,
    )

    assert inspect(file.read_bytes(), "vmdk") == DISK


@pytest.mark.parametrize("encoding", ["windows-1252", "GBK", "Big5", "Shift_JIS"])
def test_a_descriptor_may_have_any_encoding_that_vmware_declares(made, encoding):
    def named(text):
        name = ("Käse" if encoding == "windows-1252" else "日本").encode(encoding)
        begin, rest = text.split(b'SPARSE "', 1)
        text = begin + b'SPARSE "' + name + b'.vmdk"' + rest.partition(b'"')[2]
        declared = f'encoding="{encoding}"\nversion=1'.encode()
        return text.replace(b"version=1", declared, 1)

    assert inspect(with_descriptor(made("vmdk"), named), "vmdk") == DISK


@pytest.mark.parametrize(
    "line",
    [b'parentFileNameHint=""', b"# no parent", b"# createType", b"", b'ddb.x = "RW"'],
)
def test_a_harmless_line_in_a_descriptor_passes(made, line):
    data = described(made, b"version=1", line + b"\nversion=1")

    assert inspect(data, "vmdk") == DISK


@pytest.mark.parametrize(
    "line",
    [
        b'parentFileNameHint="/etc/passwd"',
        b'PARENTFILENAMEHINT="x"',
        b'parentFileNameHint = ""',  # of this qemu takes a blank for the name
        b'# parentFileNameHint="/etc/passwd"',  # qemu does not mind the comment
        b"# parentFileNameHint",
        b"parentCID=12345678",
    ],
)
@pytest.mark.parametrize("disk_format", ["vmdk", "raw"])
def test_a_line_that_names_a_parent_is_refused(made, line, disk_format):
    data = described(made, b"version=1", line + b"\nversion=1")

    assert "parent disk (vmdk_parent)" in refusal(data, disk_format)


@pytest.mark.parametrize(
    "extent",
    [
        b'RW 16384 FLAT "disk.img" 0',
        b'RW 16384 VMFS "disk.img"',
        b'RW 16384 SPARSE "/etc/passwd"',
        b'RW 16384 SPARSE "C:\\\\disk.vmdk"',
        b"RW 16384 ZERO",
        b'RW 16384 SPARSE "a"\nRW 16384 SPARSE "b"',
        b"# none",
    ],
)
def test_extents_outside_of_the_file_are_refused(made, extent):
    def replaced(text):
        begin, rest = text.split(b"RW ", 1)
        return begin + extent + b"\n" + rest.partition(b"\n")[2]

    data = with_descriptor(made("vmdk"), replaced)

    assert "(vmdk_extents)" in refusal(data, "vmdk")
    assert "(vmdk_extents)" in refusal(data, "raw")


def test_a_descriptor_with_an_unknown_line_is_refused(made):
    data = described(made, b"version=1", b"version=1\nsurprise")

    assert "a line that is none of a VMDK" in refusal(data, "vmdk")


def test_two_subformats_in_a_descriptor_are_refused(made):
    data = described(made, b"version=1", b'version=1\ncreateType="vmfs"')

    assert "Unsupported subformat" in refusal(data, "vmdk")


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ({"at20": b"\xff" * 8}, "grains of 18446744073709551615 sectors"),
        ({"at20": b"\0"}, "grains of 0 sectors"),
        ({"at44": b"\xff" * 4}, "grain tables of 4294967295 entries"),
    ],
)
def test_an_absurd_vmdk_header_is_refused(made, places, found):
    assert found in refusal(changed(made("vmdk"), **places), "vmdk")


def test_a_vmdk_whose_footer_has_another_capacity_is_refused(made):
    data = with_footer(made("vmdk-stream"))
    footer = len(data) - 1024
    assert inspect(data, "vmdk") == DISK

    data = changed(data, **{f"at{footer + 12}": b"\0\0\0\0\1"})

    assert "different capacities" in refusal(data, "vmdk")


# LUKS


def test_luks_of_an_unknown_version_is_refused_unless_the_operator_allows_it(settings):
    data = (b"LUKS\xba\xbe\x00\x03").ljust(MIB, b"x")

    assert "LUKS version 3 is unknown (luks_version)" in refusal(data, "raw")
    settings.IMAGECATALOG_FORMAT_CHECKS = ("luks_version",)
    assert inspect(data, "raw") == MIB


def test_a_luks2_header_without_segments_gives_no_size():
    for area in (b"", b"{}", b"[" * 60_000, b'{"segments": {"0": {"offset": "x"}}}'):
        data = (b"LUKS\xba\xbe\x00\x02".ljust(4096, b"\0") + area).ljust(MIB, b"\0")

        assert "no possible virtual size" in refusal(data, "luks")
        assert inspect(data, "raw") == MIB


# Boot sectors


def vbr(oem: bytes, media: int, fats: int) -> bytes:
    volume = bytearray(MIB)
    volume[:11] = b"\xeb\x58\x90" + oem
    volume[16], volume[21] = fats, media
    volume[510:512] = b"\x55\xaa"
    return bytes(volume)


def table(*entries: tuple[int, int, int, int], boot: bytes = b"") -> bytes:
    """A boot sector with entries of (flag, kind, first block, blocks)."""
    data = b"".join(struct.pack("<B3xB3xII", *entry) for entry in entries)
    sector = boot.ljust(446, b"\0") + data.ljust(64, b"\0") + b"\x55\xaa"
    return sector.ljust(MIB, b"\0")


@pytest.mark.parametrize(
    "data",
    [
        vbr(b"MSDOS5.0", 0xF0, 2),
        vbr(b"MSDOS5.0", 0xF8, 1),
        vbr(b"NTFS    ", 0xF8, 0),
        vbr(b"EXFAT   ", 0, 0),
        table(),  # boot code
        table((0xF4, 0xF4, 0xF4F4, 0xF4F4)),
        table((1, 0x83, 2048, 4096)),
        table((0, 0x83, 0, 4096)),
        table((0, 0x83, 2048, 0)),
    ],
)
@pytest.mark.parametrize("disk_format", ["raw", "ami"])
def test_a_boot_sector_without_a_partition_table_is_raw_data(data, disk_format):
    assert inspect(data, disk_format) == (MIB if disk_format == "raw" else None)
    assert "does not match stream data raw" in refusal(data, "gpt")


def test_a_kernel_is_no_partitioned_disk():
    entry = (0, 0x83, 2048, 4096)
    kernel = changed(table(entry), at514=b"HdrS")

    assert inspect(kernel, "aki") is None
    assert "stream data gpt" in refusal(table(entry), "aki")


PROTECTIVE = (0, 0xEE, 1, 2**32 - 1)


@pytest.mark.parametrize(
    "entries",
    [
        [PROTECTIVE],
        [PROTECTIVE, (0x80, 0x83, 2048, 4096)],  # hybrid
        [(0x80, 0x83, 2048, 4096), PROTECTIVE],
        [(0x80, 0xEE, 1, 100)],
        [(0, 0xEE, 1, 2047), (0, 0xEF, 2048, 4096), (0, 0xEE, 6144, 100)],
        [(0x80, 7, 63, 100), (0, 5, 200, 100)],
    ],
)
def test_a_partition_table_that_firmware_accepts_passes(entries):
    assert inspect(table(*entries), "gpt") == MIB
    assert inspect(table(*entries), "raw") == MIB


def test_a_misplaced_protective_entry_is_refused_unless_the_operator_allows_it(
    settings,
):
    data = table((0, 0xEE, 2, 4096))

    said = refusal(data, "raw")
    assert "does not begin at block 1 (gpt_mbr). Repair the partition table." in said
    assert "The operator can allow it: IMAGECATALOG_FORMAT_CHECKS=gpt_mbr." in said
    settings.IMAGECATALOG_FORMAT_CHECKS = ("gpt_mbr",)
    assert inspect(data, "raw") == MIB
    assert inspect(data, "gpt") == MIB


# What the operator can allow


def test_what_the_operator_allows_is_logged(made, settings, caplog):
    settings.IMAGECATALOG_FORMAT_CHECKS = ("qcow2_corrupt",)

    inspect(changed(made("qcow2"), at79=b"\x02"), "qcow2")

    assert "marked as corrupt (qcow2_corrupt). The operator allows it." in caplog.text


def test_allowing_everything_allows_no_other_file(made, settings):
    settings.IMAGECATALOG_FORMAT_CHECKS = RELAXABLE
    settings.IMAGECATALOG_REQUIRE_FORMAT_MATCH = False
    backed = changed(made("qcow2"), at8=u64(200), at16=u32(4))

    for data in (backed, vhd_with(made("vhd"), at60=u32(4))):
        assert "No setting allows it" in refusal(data, "raw")
    said = refusal(changed(backed, at79=b"\x02"), "qcow2")
    assert "corrupt" not in said


def test_how_headers_are_cut_changes_nothing(made):
    for data in (
        vhd_with(made("vhd"), at60=u32(4)),
        changed(made("vhdx"), **{f"at{(256 << 10) + 20}": b"x"}),
        with_footer(made("vmdk-stream"))[:-512],
        table((0, 0xEE, 2, 4096)),
    ):
        said = {outcome(data, "raw", block=block) for block in (999, 65_537, 3 * MIB)}
        assert len(said) == 1
