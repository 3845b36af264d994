"""Conversion of disks to another format by qemu-img, with limits on its memory, time and output.

The disk is inspected before qemu-img reads it: a disk that needs other files is never opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

from images import errors
from images.formats import inspection
from images.imports import limited
from images.imports.limited import Limits, ProgramFailed

BLOCK = 1 << 20  # bytes
# The names that qemu-img has for disk formats. An ISO is not converted: no consumer expects
# another format of an installation medium.
NAMES: Final = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
}
MEMORY = 1 << 30  # bytes; the limit that Glance sets for qemu-img
LOOK = Limits(MEMORY, cpu=30, size=1 << 20)
SLOWEST = 4 << 20  # bytes of a disk converted in one second of processor time
# Keys in the output of "qemu-img info" for a disk that needs other files.
NEEDS_MORE = ("backing-filename", "full-backing-filename", "data-file")


def convert(
    source: BinaryIO,
    disk_format: str,
    target: BinaryIO,
    output: str,
    most: int,
    check: Callable[[], None],
) -> None:
    """Convert the disk in the file ``source`` to the format ``output``, and write it to ``target``.

    The formats can be raw, qcow2, vmdk, vdi, vhd and vhdx. ``check`` is called at least twice a
    second, and the conversion ends when it raises an error. Raises ContentRefused for a disk
    that has another format or needs other files, OverLimit for a disk of more than ``most``
    bytes, ProgramFailed if qemu-img fails, and the errors of ``check``.
    """
    _inspect(source, disk_format, check)
    size = _virtual_size(source, disk_format, check)
    if size > most:
        raise errors.OverLimit(
            f"The disk has {size} bytes, more than the {most} bytes that the image may have."
        )
    files = (source.fileno(), target.fileno())
    limits = Limits(MEMORY, cpu=60 + size // SLOWEST, size=most)
    formats = ("-f", NAMES[disk_format], "-O", NAMES[output])
    command = ("qemu-img", "convert", *formats, *map(_path, files))
    limited.run(command, limits, check, files)


def blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield all data of a file, from its beginning, in blocks."""
    file.seek(0)
    yield from iter(lambda: file.read(BLOCK), b"")


def _inspect(source: BinaryIO, disk_format: str, check: Callable[[], None]) -> None:
    inspector = inspection(disk_format, "bare", "a disk to be converted")
    for block in blocks_of(source):
        check()
        inspector.feed(block)
    inspector.verdict()


def _virtual_size(source: BinaryIO, disk_format: str, check: Callable[[], None]) -> int:
    file = source.fileno()
    formats = ("--output=json", "-f", NAMES[disk_format])
    command = ("qemu-img", "info", *formats, _path(file))
    printed = limited.run(command, LOOK, check, [file])
    try:
        described = json.loads(printed)
        size = int(described["virtual-size"])
    except (ValueError, KeyError, TypeError) as error:
        raise ProgramFailed("qemu-img describes the disk in an unknown way.") from error
    _check_self_contained(described)
    return size


def _check_self_contained(described: dict[str, Any]) -> None:
    specific = described.get("format-specific", {}).get("data", {})
    if any(described.get(key) or specific.get(key) for key in NEEDS_MORE):
        raise errors.ContentRefused(
            "The disk needs other files. Make it one self-contained file."
        )
    if described.get("encrypted"):
        raise errors.ContentRefused("An encrypted disk cannot be converted.")


def _path(file: int) -> str:
    return f"/dev/fd/{file}"
