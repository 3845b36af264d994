"""Inspection of VHD disks, by the "Virtual Hard Disk Image Format Specification" 1.0.

oslo.utils knows only dynamic disks, which begin with a copy of their footer, and does not see
parent disks. A fixed disk is raw data with a footer: it is recognised at its end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.verdicts import Objection

COOKIE, DYNAMIC_COOKIE = b"conectix", b"cxsparse"
SECTOR = 512
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4  # types of disks
MOST_BLOCKS = 1 << 23  # entries of the block table: 32 MiB


class Vhd(oslo.VHDInspector):
    """The inspector of a dynamic VHD disk, which begins with a copy of its footer."""

    def _initialize(self) -> None:
        super()._initialize()
        self.new_region("dynamic", oslo.CaptureRegion(SECTOR, 2 * SECTOR))
        self.new_region("footer", oslo.EndCaptureRegion(SECTOR))

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield an Objection for each safety check that the data fails.

        ``size`` is the number of bytes of all data, or None if the end of the data is not reached
        yet.
        """
        copy, dynamic = self.region("header").data, self.region("dynamic").data
        footer = self.region("footer").data if size is not None else copy
        if DIFFERENCING in (_type(copy), _type(footer)):
            yield Objection("vhd_parent", "The VHD has a parent disk")
            return
        if absurd := _absurd(copy, dynamic):
            yield Objection("vhd_header", f"Its header has {absurd}")
        if _identity(copy) != _identity(footer):
            yield Objection(
                "vhd_header", "Its footer differs from the copy at its beginning"
            )

    @property
    def virtual_size(self) -> int:
        """The size of the virtual disk in bytes, as its footer says."""
        return _current_size(self.region("header").data)


class FixedVhd(oslo.FileInspector):
    """The inspector of a fixed VHD, which consists of raw data and a footer."""

    NAME = "vhd"

    def _initialize(self) -> None:
        self.new_region("footer", oslo.EndCaptureRegion(SECTOR))
        self.add_safety_check(oslo.SafetyCheck.null())

    @property
    def format_match(self) -> bool:
        """Whether the data ends with the footer of a VHD disk."""
        return self.region("footer").data.startswith(COOKIE)

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield an Objection for each safety check that the data fails.

        ``size`` is the number of bytes of all data. If it is None, because the end of the data is
        not reached yet, nothing is checked.
        """
        footer = self.region("footer").data
        if size is None:
            return
        if _type(footer) == DIFFERENCING:
            yield Objection("vhd_parent", "The VHD has a parent disk")
        elif _type(footer) != FIXED:
            yield Objection("vhd_header", "Its footer has no copy at its beginning")
        elif _current_size(footer) > size - SECTOR:
            yield Objection("incomplete", "The VHD has less data than its footer says")

    @property
    def virtual_size(self) -> int:
        """The size of the virtual disk in bytes, as its footer says."""
        return _current_size(self.region("footer").data)


def _type(footer: bytes | bytearray) -> int:
    return int.from_bytes(footer[60:64], "big")


def _current_size(footer: bytes | bytearray) -> int:
    return int.from_bytes(footer[48:56], "big")


def _identity(footer: bytes | bytearray) -> tuple[bytes | bytearray, ...]:
    """Return the fields of a footer, such as sizes and type, that must be equal in its copy."""
    return footer[:8], footer[16:24], footer[40:56], footer[60:64], footer[68:84]


def _absurd(footer: bytes | bytearray, dynamic: bytes | bytearray) -> str | None:
    """Return a phrase about a header value that makes the disk unsafe to open; None if there is none.

    ``footer`` is the copy of the footer at the beginning, ``dynamic`` the header of a dynamic disk.
    """
    if _type(footer) != DYNAMIC:
        return f"the type {_type(footer)}, which is none of a dynamic disk"
    if int.from_bytes(footer[16:24], "big") != SECTOR:
        return "no dynamic header behind it"
    if not dynamic.startswith(DYNAMIC_COOKIE):
        return "no dynamic header behind it"
    blocks, block = struct.unpack_from(">II", dynamic, 28)
    if blocks > MOST_BLOCKS:
        return f"a table of {blocks} blocks"
    if block < SECTOR or block.bit_count() != 1:
        return f"blocks of {block} bytes"
    if blocks * block < _current_size(footer):
        return "a block table that is too small for its virtual size"
    return None
