"""The test whether programs can use a file as a disk as it is."""

from __future__ import annotations

from typing import Final

EXTENSIONS: Final = {"qcow2": ("qcow2",), "raw": ("raw", "img")}


def is_disk(disk_format: str, extension: str) -> bool:
    """Return whether a file with an extension is a disk in a format, neither compressed nor in a container."""
    return extension in EXTENSIONS.get(disk_format, ())
