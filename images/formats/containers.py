"""What is in the container of an image, inspected while it streams, and the container itself."""

from __future__ import annotations

from typing import Protocol

from images.formats.disks import Inspection
from images.formats.gzipped import Gzip
from images.formats.tar import Tar


class Inspector(Protocol):
    """What looks at data that streams by, as ``Inspection`` does."""

    def feed(self, block: bytes) -> None:
        """Look at the next block, of any size; ContentRefused as soon as it is certain."""

    def verdict(self) -> int | None:
        """The virtual size in bytes, None where there is none; ContentRefused."""


def inspection(disk_format: str, container_format: str) -> Inspector:
    """What inspects data of these formats: every file of an OVA, what gzip compressed, all else.

    Gzip is inflated as far as the headers of a disk reach: all of it could take any time. What
    is called an OVA or compressed and is no tar or gzip is inspected as it is.
    """
    whole = Inspection(disk_format, container_format)
    if container_format == "ova":
        return Opened(whole, Tar())
    if container_format == "compressed":
        return Opened(whole, Gzip(disk_format))
    return whole


class Opened:
    """A container and what is in it."""

    def __init__(self, whole: Inspection, inside: Tar | Gzip) -> None:
        self._whole, self._inside = whole, inside

    def feed(self, block: bytes) -> None:
        """As of ``Inspector``."""
        self._whole.feed(block)
        self._inside.feed(block)

    def verdict(self) -> int | None:
        """As of ``Inspector``."""
        self._inside.finish()
        return self._whole.verdict()
