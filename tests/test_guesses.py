"""Guesses of an image's name and formats from the name and the first bytes of its data."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from images.files.guesses import guess

QCOW2 = b"QFI\xfb\x00\x00\x00\x03" + bytes(504)
ISO = bytes(0x8001) + b"CD001" + bytes(2048)


def archive() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as opened:
        opened.addfile(tarfile.TarInfo("appliance.ovf"))
    return file.getvalue()


@pytest.mark.parametrize(
    ("file_name", "head", "expected"),
    [
        ("debian-13.qcow2", QCOW2, ("debian-13", "qcow2", "bare")),
        ("cirros.img", QCOW2, ("cirros", "qcow2", "bare")),
        ("disk.img", bytes(4096), ("disk", "raw", "bare")),
        ("install.iso", ISO, ("install", "iso", "bare")),
        ("noise", b"no format at all", ("noise", "", "")),
        ("disk.raw.gz", gzip.compress(b"data", mtime=0), ("disk", "raw", "compressed")),
        ("appliance.ova", archive(), ("appliance", "vmdk", "ova")),
        ("Appliance.OVA", archive(), ("Appliance", "vmdk", "ova")),
        ("layers.tar", archive(), ("layers.tar", "", "")),
        # The name of a URL, whose data is not known.
        ("noble.qcow2", b"", ("noble", "qcow2", "bare")),
        ("disk.raw.xz", b"", ("disk", "raw", "compressed")),
        ("noble.img", b"", ("noble", "", "")),
        ("vmlinuz.aki", b"", ("vmlinuz", "aki", "")),
        ("", b"", ("", "", "")),
    ],
)
def test_a_guess(file_name: str, head: bytes, expected: tuple[str, ...]) -> None:
    assert guess(file_name, head) == expected
