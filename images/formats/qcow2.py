"""Inspection of qcow2 headers, by qemu's docs/interop/qcow2.txt and the limits of its driver.

oslo.utils does not know extended L2 entries, finds a data file by its feature bit alone, and does
not look at the sizes of tables, which make consumers use all of their memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.verdicts import Objection

HEADER = struct.Struct(">4xIQIIQIIQQIIQQ16xII")
CORRUPT, DATA_FILE, EXTENDED_L2 = 1 << 1, 1 << 2, 1 << 4
KNOWN_FEATURES = 0b11111
DATA_FILE_NAME = 0x44415441  # type of a header extension
REACH = 64 << 10  # bytes; header extensions need less than 2 KiB
LARGEST_L1 = 32 << 20  # bytes, as in qemu
LARGEST_REFCOUNT_TABLE = 8 << 20  # bytes, as in qemu
MOST_SNAPSHOTS = 65536  # as in qemu


class Header(NamedTuple):
    """The fields of a qcow2 header.

    A header of version 2 lacks ``incompatible`` and the later fields.
    """

    version: int
    backing_at: int
    backing_length: int
    cluster_bits: int
    size: int
    encryption: int
    l1_size: int
    l1_at: int
    refcounts_at: int
    refcount_clusters: int
    snapshots: int
    snapshots_at: int
    incompatible: int
    refcount_order: int
    length: int


class Qcow2(oslo.QcowInspector):
    """The inspector of a qcow2 disk."""

    def _initialize(self) -> None:
        super()._initialize()
        self.new_region("extensions", oslo.CaptureRegion(0, REACH, min_length=512))

    def region_complete(self, region_name: str) -> None:
        """Parse the header as soon as it is read. oslo.utils calls this for each region of the file."""
        if region_name == "header":
            super().region_complete(region_name)

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield an Objection for each safety check that the data fails.

        ``size`` is the number of bytes of all data, or None if the end of the data is not reached
        yet.
        """
        header = Header._make(HEADER.unpack_from(self.region("header").data))
        if header.version == 2:
            header = header._replace(incompatible=0, refcount_order=4, length=72)
        elif header.version != 3:
            yield Objection("qcow2_unknown_features", "Unsupported qcow2 version")
            return
        if header.backing_at or header.backing_length:
            yield Objection("qcow2_backing_file", "Image has a backing file")
        if header.incompatible & DATA_FILE:
            yield Objection("qcow2_data_file", "Image has a data file")
        if header.incompatible & ~KNOWN_FEATURES:
            yield Objection("qcow2_unknown_features", "Unknown qcow2 features found")
        if header.incompatible & CORRUPT:
            yield Objection("qcow2_corrupt", "Image is marked as corrupt")
        if absurd := _absurd(header):
            yield Objection("qcow2_header", f"Its header has {absurd}")
        else:
            yield from self._extensions(header)
            if size is not None and header.l1_at + 8 * header.l1_size > size:
                yield Objection("qcow2_cut_off", "Image ends before its tables")

    def _extensions(self, header: Header) -> Iterator[Objection]:
        data, at = bytes(self.region("extensions").data), header.length
        end = min(len(data), 1 << header.cluster_bits)
        while at + 8 <= end:
            kind, length = struct.unpack_from(">II", data, at)
            if not kind:
                return
            if kind == DATA_FILE_NAME:
                yield Objection("qcow2_data_file", "Image names a data file")
            at += 8 + length + -length % 8
        if at + 8 > REACH:
            yield Objection("qcow2_header", "Its header has endless extensions")


def _absurd(header: Header) -> str | None:
    """Return a phrase about a header value that makes the disk unsafe to open; None if there is none."""
    if not 9 <= header.cluster_bits <= 21:
        return f"clusters of 2^{header.cluster_bits} bytes"
    cluster = 1 << header.cluster_bits
    if header.incompatible & EXTENDED_L2 and header.cluster_bits < 14:
        return "subclusters of less than 512 bytes"
    if header.size > 2**63 - 512:
        return "an impossible virtual size"
    if 8 * header.l1_size > LARGEST_L1:
        return f"an L1 table of {header.l1_size} entries"
    if header.refcount_clusters * cluster > LARGEST_REFCOUNT_TABLE:
        return f"a refcount table of {header.refcount_clusters} clusters"
    if header.snapshots > MOST_SNAPSHOTS:
        return f"{header.snapshots} snapshots"
    tables = header.l1_at | header.refcounts_at | header.snapshots_at
    if tables % cluster:
        return "tables that do not begin with a cluster"
    if header.encryption > 2:
        return f"an unknown encryption ({header.encryption})"
    if header.refcount_order > 6:
        return f"refcounts of 2^{header.refcount_order} bits"
    if header.version == 3 and not 104 <= header.length <= min(cluster, REACH):
        return f"a length of {header.length} bytes"
    return None
