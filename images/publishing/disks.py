"""A check whether programs can use an image file as a disk directly, without unpacking it."""

from __future__ import annotations

from typing import Final

EXTENSIONS: Final = {"qcow2": ("qcow2",), "raw": ("raw", "img")}


def is_disk(disk_format: str, extension: str) -> bool:
    """Return whether an image file is a plain disk, neither compressed nor in an archive.

    ``disk_format`` is the image's format, and ``extension`` that of its file name, such as
    ``raw.gz``.
    """
    return extension in EXTENSIONS.get(disk_format, ())
