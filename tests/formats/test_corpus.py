"""Inspection of what many tools make and Debian ships, as every format that makes sense."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
from pathlib import Path

import pytest

from tests.formats.corpus import DISKS, PACKAGES, Entry, make, needs
from tests.qemu import inspect, outcome

pytestmark = pytest.mark.slow

FORMATS = [
    "raw",
    "qcow2",
    "vhd",
    "vhdx",
    "vmdk",
    "vdi",
    "iso",
    "gpt",
    "luks",
    "ami",
    "ari",
    "aki",
    "ploop",
]
UNINSPECTABLE = ("ami", "ari", "aki", "ploop")
LARGEST = 1 << 22  # bytes of files that are compressed here, to save time


def expected(entry: Entry, disk_format: str, size: int) -> int | str | None:
    """The virtual size, or a part of the refusal."""
    if entry.check and disk_format in ("raw", entry.what):
        return f"({entry.check})"
    if disk_format in entry.also:
        return entry.also[disk_format]
    if disk_format == "raw":
        return size
    if disk_format == entry.what:
        return entry.size or size
    if entry.what == "raw" and disk_format in UNINSPECTABLE and not entry.check:
        return None
    return "" if entry.check else f"does not match stream data {entry.what}."


def contained(data: bytes) -> dict[str, tuple[str, bytes]]:
    """The data in containers: how, the container_format, the bytes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("disk")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    made = {"ovf": ("ovf", data), "ova": ("ova", archive.getvalue())}
    if len(data) <= LARGEST:
        made["gzip"] = ("compressed", gzip.compress(data, 1))
        made["bzip2"] = ("compressed", bz2.compress(data, 1))
        made["xz"] = ("compressed", lzma.compress(data, preset=0))
    return made


@pytest.mark.parametrize("entry", DISKS, ids=lambda entry: entry.name)
def test_a_disk_gets_its_verdict_by_every_name_and_in_every_container(tmp_path, entry):
    data = make(entry.command, tmp_path / "made")

    for disk_format in FORMATS:
        found = outcome(data, disk_format)
        wanted = expected(entry, disk_format, len(data))
        if isinstance(wanted, str):
            assert wanted in str(found), disk_format
            assert isinstance(found, str), disk_format
        else:
            assert found == wanted, disk_format
    for how, (container, content) in contained(data).items():
        found = outcome(content, "raw", container)
        if entry.check:
            assert f"({entry.check})" in str(found), how
        else:
            assert found is None, how


@pytest.mark.parametrize(
    ("command", "container", "check"),
    [package[1:] for package in PACKAGES],
    ids=[package[0] for package in PACKAGES],
)
def test_a_package_is_opened_or_refused(tmp_path, command, container, check):
    data = make(command, tmp_path / "made")

    found = outcome(data, "raw", container)

    if check:
        assert f"({check})" in str(found)
    else:
        assert found is None
    assert inspect(data, "raw") == len(data)


def test_ci_installs_what_the_corpus_needs():
    script = Path(__file__, "../../../.ci/run").resolve().read_text()
    commands = [entry.command for entry in DISKS] + [package[1] for package in PACKAGES]
    named = set(re.findall(r"[^\s;]+", script))

    assert set().union(*map(needs, commands)) <= named
    assert len(set(commands)) >= 60
