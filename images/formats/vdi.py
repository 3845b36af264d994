"""Inspection of VDI headers, by the limits of qemu's driver and VirtualBox's VDICore.h.

oslo.utils reads the size only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.verdicts import Objection

DYNAMIC, STATIC, DIFFERENCING = 1, 2, 4  # types of disks
MOST_BLOCKS = 0x1FFFFFFF  # as in qemu; a table of 2 GiB


class Vdi(oslo.VDIInspector):
    """The inspector of a VDI disk."""

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield an Objection for each safety check that the data fails.

        ``size`` is the number of bytes of all data, or None if the end of the data is not reached
        yet.
        """
        header = self.region("header").data
        (kind,) = struct.unpack_from("<I", header, 0x4C)
        if kind == DIFFERENCING or any(header[0x1A8:0x1C8]):
            yield Objection("vdi_parent", "The VDI has a parent disk")
        elif kind not in (DYNAMIC, STATIC):
            yield Objection("vdi_header", f"Its header has the unknown type {kind}")
        (map_at, data_at) = struct.unpack_from("<II", header, 0x154)
        (disk, block, _, blocks) = struct.unpack_from("<QIII", header, 0x170)
        if block < 512 or block.bit_count() != 1 or blocks > MOST_BLOCKS:
            yield Objection(
                "vdi_header", f"Its header has {blocks} blocks of {block} bytes"
            )
        elif blocks * block < disk:
            yield Objection(
                "vdi_header", "Its header has fewer blocks than its virtual size needs"
            )
        elif size is not None and max(map_at + 4 * blocks, data_at) > size:
            yield Objection("incomplete", "Image ends before its tables")
