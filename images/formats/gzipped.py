"""Inspection of gzip data while it streams."""

from __future__ import annotations

import zlib

from images.errors import ContentRefused
from images.formats.detection import HEAD
from images.formats.disks import INSIDE, Inspection
from images.formats.verdicts import refused

MOST_PARTS = 100  # in the inflated part of a file
MOST_INFLATED = 16 << 20  # bytes
MAGIC = b"\x1f\x8b\x08"  # RFC 1952, section 2.3.1


class Gzip:
    """The inspector of gzip data (RFC 1952), as far as the headers of a disk reach."""

    def __init__(self, disk_format: str) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self._begin = b""  # first bytes of the current part
        self._parts = 1
        self._data = Inspection(disk_format, INSIDE)
        self._left = MOST_INFLATED
        self._over = False

    def feed(self, block: bytes) -> None:
        """Inspect the next block of the file. Raises ContentRefused."""
        while block and not self._over:
            self._begin += block[: len(MAGIC) - len(self._begin)]
            try:
                data = self._inflate.decompress(block, min(HEAD, self._left))
            except zlib.error as error:
                # After the last part any data is ignored, as by gunzip.
                if self._begin == MAGIC:
                    raise _refused("it is damaged. Check that it is whole") from error
                data, self._over = b"", True
            self._data.feed(data)
            self._left -= len(data)
            self._over = self._over or self._data.settled or not self._left
            block = self._inflate.unconsumed_tail or self._next_part()

    def finish(self) -> None:
        """End the inspection. Raises ContentRefused."""
        if not self._left and not self._data.settled:
            raise _refused(
                f"the disk in it is not recognised after {MOST_INFLATED >> 20} MiB. Upload "
                "it uncompressed"
            )
        self._data.verdict()

    def _next_part(self) -> bytes:
        rest = self._inflate.unused_data
        if self._inflate.eof:
            self._inflate, self._begin = zlib.decompressobj(wbits=31), b""
            self._parts += 1
            if self._parts > MOST_PARTS:
                raise _refused("it has too many parts. Compress it in one part")
        return rest


def _refused(why: str) -> ContentRefused:
    return refused("compression", f"Of its gzip file, {why}")
