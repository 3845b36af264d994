"""Disk images made by qemu-img, and what the inspection says of bytes."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from images.errors import ContentRefused
from images.formats import inspection

MIB = 1 << 20
DISK = 8 * MIB  # virtual size of every disk made here
QEMU_IMAGES = {  # name: (disk_format, options of qemu-img)
    "qcow2": ("qcow2", "-f qcow2"),
    "qcow2-0.10": ("qcow2", "-f qcow2 -o compat=0.10"),
    "vmdk": ("vmdk", "-f vmdk"),
    "vmdk-stream": ("vmdk", "-f vmdk -o subformat=streamOptimized"),
    "vdi": ("vdi", "-f vdi"),
    "vhd": ("vhd", "-f vpc -o force_size=on"),
    "vhdx": ("vhdx", "-f vhdx"),
    "luks": (
        "luks",
        "-f luks --object secret,id=s,data=x -o key-secret=s,iter-time=10",
    ),
}


def qemu_img(*words: str, cwd: Path) -> None:
    if not shutil.which("qemu-img"):
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("qemu-img is not installed (package qemu-utils)")
    for _ in range(20):  # luks: "Unable to get accurate CPU usage" now and then
        done = subprocess.run(["qemu-img", *words], cwd=cwd, capture_output=True)
        if b"CPU usage" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr


def inspect(data, disk_format, container_format="bare", block=MIB):
    inspector = inspection(disk_format, container_format)
    for start in range(0, len(data), block):
        inspector.feed(data[start : start + block])
    return inspector.verdict()


def outcome(*args, **kwargs):
    try:
        return inspect(*args, **kwargs)
    except ContentRefused as refused:
        return str(refused)


def refusal(*args, **kwargs) -> str:
    with pytest.raises(ContentRefused) as caught:
        inspect(*args, **kwargs)
    return str(caught.value)


def with_footer(vmdk: bytes, marker: int = 3) -> bytes:
    """The same vmdk as VMware streams it: the grain directory is found from the end."""
    header = vmdk[:56] + b"\xff" * 8 + vmdk[64:512]
    start = struct.pack("<QII496x", 1, 0, marker)
    return header + vmdk[512:] + start + vmdk[:512] + bytes(512)
