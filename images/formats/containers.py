"""Inspection of containers and of the data in them, while they stream."""

from __future__ import annotations

from typing import Protocol

from images.formats.disks import Inspection
from images.formats.gzipped import Gzip
from images.formats.tar import Tar


class Inspector(Protocol):
    """The interface of objects that inspect a stream, as ``Inspection`` does."""

    def feed(self, block: bytes) -> None:
        """Inspect the next block, of any size. Raises ContentRefused as early as the blocks allow."""

    def verdict(self) -> int | None:
        """Return the disk's virtual size in bytes, or None if it has none.

        Raises ContentRefused for unsafe data, and for data of another format than declared.
        """


def inspection(disk_format: str, container_format: str) -> Inspector:
    """Return the inspector for the formats: of each file in an OVA, of gzip content, of plain data.

    Gzip is inflated only as far as the headers of a disk reach, which limits the time. Data
    that is declared an OVA or compressed, but is neither tar nor gzip, is inspected as plain.
    """
    whole = Inspection(disk_format, container_format)
    if container_format == "ova":
        return Opened(whole, Tar())
    if container_format == "compressed":
        return Opened(whole, Gzip(disk_format))
    return whole


class Opened:
    """The inspector of a container and of the data in it."""

    def __init__(self, whole: Inspection, inside: Tar | Gzip) -> None:
        self._whole, self._inside = whole, inside

    def feed(self, block: bytes) -> None:
        """Inspect the next block. Raises ContentRefused."""
        self._whole.feed(block)
        self._inside.feed(block)

    def verdict(self) -> int | None:
        """Return the disk's virtual size in bytes, or None if it has none.

        Raises ContentRefused for unsafe data, and for data of another format than declared.
        """
        self._inside.finish()
        return self._whole.verdict()
