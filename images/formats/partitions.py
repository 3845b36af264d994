"""Inspection of partition tables (MBR and GPT).

oslo.utils takes the two signature bytes of a boot sector for a partition table, and refuses tables
that firmware accepts. Volumes, boot loaders and kernels have the same signature; so here data
counts as having a table only if the table's four entries can be valid.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.verdicts import Objection

TABLE = 446
ENTRY = struct.Struct("<B3xB3xII")
PROTECTIVE = 0xEE
LINUX_KERNEL = b"HdrS"  # at 514; the fields of the boot protocol resemble a table


class Partition(NamedTuple):
    """An entry of an MBR partition table; ``first`` and ``length`` are in blocks of 512 bytes."""

    flag: int
    kind: int
    first: int
    length: int


class Partitions(oslo.GPTInspector):
    """The inspector of a raw disk with a partition table (MBR or GPT)."""

    def _initialize(self) -> None:
        super()._initialize()
        self.delete_region("mbr")
        self.new_region("mbr", oslo.CaptureRegion(0, 1024, min_length=512))

    @property
    def format_match(self) -> bool:
        """Whether the first sector has a partition table, all of whose entries can be valid."""
        data = self.region("mbr").data
        if data[510:512] != b"\x55\xaa" or data[514:518] == LINUX_KERNEL:
            return False
        table = self._table()
        return all(entry.flag in (0, 0x80) for entry in table) and any(
            entry.kind and entry.first and entry.length for entry in table
        )

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield an Objection for each safety check that the data fails.

        ``size`` is the number of bytes of all data, or None if the end of the data is not reached
        yet.
        """
        protective = [entry for entry in self._table() if entry.kind == PROTECTIVE]
        if protective and all(entry.first != 1 for entry in protective):
            yield Objection(
                "gpt_mbr",
                "The protective entry of its partition table does not begin at block 1",
            )

    def _table(self) -> list[Partition]:
        data = bytes(self.region("mbr").data[TABLE:510])
        return [Partition(*entry) for entry in ENTRY.iter_unpack(data)]
