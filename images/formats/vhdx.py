"""Inspection of VHDX headers, by the specification MS-VHDX.

oslo.utils reads the size only. It does not see a parent disk, a log whose replay changes the
headers that were read, or a second region table that differs from the first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.verdicts import Objection

KIB = 1 << 10
TABLE = 64 * KIB  # bytes of a region table or metadata table
FILE_PARAMETERS = "CAA16737-FA36-4D43-B3B6-33F0AA44E76B"
PARENT_LOCATOR = "A8D35F2D-B30B-454D-ABF7-D3D84834AB0C"
HAS_PARENT = 1 << 1  # flag of the file parameters
BLOCKS = range(1 << 20, (256 << 20) + 1)  # bytes, as the specification allows


class Vhdx(oslo.VHDXInspector):
    """The inspector of a VHDX disk."""

    def _initialize(self) -> None:
        super()._initialize()
        self.new_region("head1", oslo.CaptureRegion(64 * KIB, 4 * KIB))
        self.new_region("head2", oslo.CaptureRegion(128 * KIB, 4 * KIB))
        self.new_region("header2", oslo.CaptureRegion(256 * KIB, TABLE))

    def post_process(self) -> None:
        """Have the inspector keep the disk's file parameters, as soon as their offset is known.

        oslo.utils calls this after each block of data.
        """
        super().post_process()
        if self.has_region("vds") and not self.has_region("parameters"):
            at = self._items().get(FILE_PARAMETERS)
            if at is None:
                raise oslo.ImageFormatError("No file parameters")
            self.new_region("parameters", oslo.CaptureRegion(at, 8))

    @property
    def complete(self) -> bool:
        """Whether the inspector has read all the data that it needs."""
        return self.has_region("parameters") and bool(super().complete)

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield an Objection for each safety check that the data fails.

        ``size`` is the number of bytes of all data, or None if the end of the data is not reached
        yet.
        """
        block, flags = struct.unpack("<II", self.region("parameters").data)
        if flags & HAS_PARENT or PARENT_LOCATOR in self._items():
            yield Objection("vhdx_parent", "The VHDX has a parent disk")
        if block not in BLOCKS or block.bit_count() != 1:
            yield Objection("vhdx_header", f"Its header has blocks of {block} bytes")
        if self._regions("header") != self._regions("header2"):
            yield Objection("vhdx_header", "Its two region tables differ")
        heads = [self.region(name).data for name in ("head1", "head2")]
        heads = [head for head in heads if head.startswith(b"head")]
        if not heads:
            yield Objection("vhdx_header", "It has no header")
        elif any(max(heads, key=_sequence)[48:64]):
            yield Objection("vhdx_log", "Its log has changes that are not yet written")

    def _items(self) -> dict[str, int]:
        """Return the offset in the file, in bytes, of each metadata item, by the item's GUID."""
        metadata = self.region("metadata")
        (count,) = struct.unpack_from("<H", metadata.data, 10)
        items = {}
        for at in range(32, 32 + 32 * count, 32):
            (offset,) = struct.unpack_from("<I", metadata.data, at + 16)
            items[self._guid(metadata.data[at : at + 16])] = metadata.offset + offset
        return items

    def _regions(self, name: str) -> bytes:
        """Return the content of the region table ``name``, without its checksum and padding."""
        table = bytes(self.region(name).data)
        (count,) = struct.unpack_from("<I", table, 8)
        return table[:4] + table[8 : 16 + 32 * min(count, 2047)]


def _sequence(head: bytes | bytearray) -> int:
    return int.from_bytes(head[8:16], "little")
