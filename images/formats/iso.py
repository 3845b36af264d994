"""Inspection of ISO 9660 and UDF volumes.

oslo.utils reads only the first volume descriptor: it does not recognise a UDF volume without ISO
9660, which begins with the descriptor BEA01. It takes the size of the volume from a header,
although the data can be larger (a hybrid ISO has partitions behind the volume).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.verdicts import Objection

BEGIN = 32 << 10
SECTOR = 2048
DESCRIPTORS = 16  # sectors that are looked at
PRIMARY = 1  # type of a volume descriptor
UDF = (b"NSR02", b"NSR03")
PADDING = 150 * SECTOR  # that some tools count and others leave out


class Iso(oslo.ISOInspector):
    """The inspector of an optical disc image (ISO 9660 or UDF)."""

    def _initialize(self) -> None:
        super()._initialize()
        reach = DESCRIPTORS * SECTOR
        self.new_region("more", oslo.CaptureRegion(BEGIN, reach, min_length=SECTOR))

    @property
    def format_match(self) -> bool:
        """Whether the data has the signature of an ISO 9660 or UDF volume."""
        names = [sector[1:6] for sector in self._sectors()]
        if names[:1] == [b"BEA01"]:
            return any(name in UDF for name in names)
        return names[:1] == [b"CD001"] or (names[:1] and names[0] in UDF) is True

    @property
    def volume_size(self) -> int:
        """The size of the volume in bytes, from its primary volume descriptor; 0 if there is none."""
        for sector in self._sectors():
            if sector[1:6] == b"CD001" and sector[0] == PRIMARY:
                (blocks,) = struct.unpack_from("<L", sector, 80)
                (block,) = struct.unpack_from("<H", sector, 128)
                return int(blocks * block)
        return 0

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield no Objection: a volume cannot refer to other files."""
        return iter(())

    def cut_off(self, size: int) -> Iterator[Objection]:
        """Yield an Objection if the volume is larger than the data, which has ``size`` bytes.

        Up to 300 KiB can be missing: not all tools count the padding of a volume as a part of it.
        """
        if self.volume_size > size + PADDING:
            yield Objection(
                "iso_cut_off",
                f"The volume has {self.volume_size} bytes and the data only {size}",
            )

    def _sectors(self) -> list[bytes]:
        data = bytes(self.region("more").data)
        return [data[at : at + SECTOR] for at in range(0, len(data), SECTOR)]
