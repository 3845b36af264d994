"""Guesses of an image's name and formats from the name and the first bytes of its data."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from images import attributes
from images.formats import compressed, detection, tar

# Disk format by file suffix; no suffix says a container format other than bare.
EXTENSIONS: Final = {
    "aki": "aki",
    "ami": "ami",
    "ari": "ari",
    "img": "raw",
    "iso": "iso",
    "ploop": "ploop",
    "qcow2": "qcow2",
    "raw": "raw",
    "vdi": "vdi",
    "vhd": "vhd",
    "vhdx": "vhdx",
    "vmdk": "vmdk",
    "vpc": "vhd",
}
AMBIGUOUS: Final = ("img",)  # often qcow2
COMPRESSIONS: Final = ("bz2", "gz", "xz", "zst")
# File names can have characters that image names cannot: undecodable bytes, emoji, line ends.
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\U00010000-\U0010ffff]")


class Guess(NamedTuple):
    """The guessed values of an image; a value that cannot be guessed is empty."""

    name: str
    disk_format: str
    container_format: str


def has_extension(file_name: str) -> bool:
    """Return whether a file name has the suffix of a disk format."""
    return _split(file_name)[1] in EXTENSIONS


def stem_of(file_name: str) -> str:
    """Return a file name without the suffix of a disk format."""
    stem, extension = _split(file_name)
    return stem if extension in EXTENSIONS else file_name


def name_of(file_name: str) -> str:
    """Return the name of an image whose data has this file name; empty if none is left.

    It is the file name without the suffix of a disk format, and with ``_`` for each character that
    names of images cannot have.
    """
    name = _NOT_IN_NAMES.sub("_", stem_of(file_name)).strip()
    return name[: attributes.MAX_LENGTH]


def disk_format_of(file_name: str, head: bytes) -> str | None:
    """Return the disk format of data that begins with ``head``; None if it cannot be recognised.

    If the first bytes are those of no known format, the suffix of the file name decides.
    """
    known = detection.disk_format_of(head)
    if known in attributes.DISK_FORMATS:
        return known
    return EXTENSIONS.get(_split(file_name)[1])


def guess(file_name: str, head: bytes) -> Guess:
    """Guess an image's values from the name of its data, and from the first bytes of the data.

    ``head`` are the first bytes, or empty if they are unknown. 64 KiB are enough to recognise each
    format.
    """
    stem, extension = _split(file_name)
    if extension == "ova" and (not head or tar.is_tar(head)):
        return Guess(name_of(stem), "vmdk", "ova")
    is_compressed = extension in COMPRESSIONS
    inner = stem if is_compressed else file_name
    if head:
        is_compressed = compressed.compression_of(head) is not None
    disk_format = disk_format_of(inner, head)
    if not head and _split(inner)[1] in AMBIGUOUS:
        disk_format = None
    container = ""
    if is_compressed:
        container = "compressed"
    elif disk_format in detection.INSPECTABLE and not tar.is_tar(head):
        container = "bare"
    return Guess(name_of(inner), disk_format or "", container)


def _split(file_name: str) -> tuple[str, str]:
    """Return a file name without its suffix, and the suffix in lower case and without the dot."""
    stem, _dot, suffix = file_name.rpartition(".")
    return stem or file_name, suffix.lower()
