"""Inspection of disks while their data streams.

If possible, the first MiB decides the result.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from images.errors import ContentRefused
from images.formats import vmdk
from images.formats.detection import (
    HEAD,
    HYBRID_ISO,
    INSPECTABLE,
    SLICE,
    Candidate,
    detect,
)
from images.formats.iso import Iso
from images.formats.luks import Luks
from images.formats.verdicts import Objection, Verdicts
from images.formats.vhd import FixedVhd
from images.units import LARGEST

FOOTER = 1536  # bytes; the end of a streamOptimized vmdk, and more than that of a VHD
# Kernels can have the signature of a partition table without being a disk.
NEVER_DISKS = ("aki", "ari")
# What a fixed VHD may contain: any data of a raw disk.
RAW_CONTENT = ("gpt", "iso", "luks")
SHORTEST = 512  # bytes; below this the inspectors do not recognise a header
MAGICS = (b"QFI\xfb", b"QED\x00")


class Inspection:
    """The inspector of a disk, in one pass: ``feed`` it each block, then call ``verdict``.

    It needs a constant amount of memory (1 MiB). The result does not depend on the sizes of blocks.
    """

    def __init__(self, disk_format: str, container_format: str, label: str) -> None:
        self._verdicts = Verdicts(label)
        self._disk_format = disk_format
        self._container_format = container_format
        self._size = 0
        self._head = bytearray()
        self._candidates: dict[str, Candidate] | None = (
            None  # None: still filling the head
        )
        self._pending: Candidate | None = None  # needs more than the head
        self._rest = b""
        self._dangers: list[Objection] = []

    def feed(self, block: bytes) -> None:
        """Inspect the next block, of any size. Raises ContentRefused once the data is unsafe."""
        self._size += len(block)
        if self._candidates is None:
            block = self._fill_head(block)
        if self._pending:
            self._follow(self._pending, block)

    @property
    def settled(self) -> bool:
        """Whether the result is certain already, except for checks that need the size of all data."""
        return self._candidates is not None and self._pending is None

    def verdict(self) -> int | None:
        """End the inspection; return the virtual size of the disk in bytes, or None if it is unknown.

        Raises ContentRefused for unsafe data, and for data of another format than declared.
        """
        if not self._size:
            return None
        if self._candidates is None:
            self._examine()
        self._finish()
        self._judge(self._size)
        if mismatch := self._mismatch():
            self._verdicts.allow(mismatch)
            return None
        return self._virtual_size() or None

    def _fill_head(self, block: bytes) -> bytes:
        room = HEAD - len(self._head)
        self._head += block[:room]
        if len(self._head) == HEAD:
            self._examine()
            self._judge()
        return block[room:]

    def _examine(self) -> None:
        head = bytes(self._head)
        self._head.clear()
        self._dangers = list(vmdk.dangers(head))
        if len(head) < SHORTEST and head.startswith(MAGICS):
            self._dangers += [
                Objection("incomplete", "The data ends within a disk header")
            ]
        self._candidates = detect(head)
        # Unsettled candidates have their signature at byte 0, so there is at most one.
        for candidate in self._candidates.values():
            if not candidate.settled:
                self._pending = candidate
        if self._disk_format == "vhd" and not self._candidates.keys() - {*RAW_CONTENT}:
            self._pending = Candidate(FixedVhd())
            self._rest = head[-FOOTER:]

    def _follow(self, pending: Candidate, block: bytes) -> None:
        if pending.lacks_only_the_end:
            self._rest = (self._rest + block[-FOOTER:])[-FOOTER:]
            return
        data = self._rest + block
        whole = len(data) - len(data) % SLICE
        for start in range(0, whole, SLICE):
            pending.read(data[start : start + SLICE])
            if pending.settled:
                self._pending, self._rest = None, b""
                self._judge()
                return
        self._rest = data[whole:]

    def _finish(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        pending.read(self._rest)
        pending.inspector.finish()
        self._rest = b""
        if isinstance(pending.inspector, FixedVhd) and pending.matches:
            self._candidates = {"vhd": pending}

    def _judge(self, size: int | None = None) -> None:
        """Raise ContentRefused if the data seen so far is unsafe or not of the declared format.

        ``size`` is the number of bytes of all data, or None if the end of the data is not reached
        yet. A format whose inspector still needs data is checked later.
        """
        required = settings.IMAGECATALOG_REQUIRE_FORMAT_MATCH
        if required and (mismatch := self._mismatch()):
            raise ContentRefused(
                f"{mismatch} The operator can allow it: IMAGECATALOG_REQUIRE_FORMAT_MATCH=off."
            )
        self._verdicts.judge(self._dangers)
        for name, candidate in self._disks().items():
            if candidate is not self._pending:
                self._check(name, candidate.objections(size))

    def _mismatch(self) -> str | None:
        if self._container_format != "bare" or self._may_be_fixed_vhd():
            return None
        formats = sorted(self._disks()) or ["raw"]
        if len(formats) > 1:
            return (
                f"Image data looks like several formats at once: {', '.join(formats)}."
            )
        uninspectable = formats == ["raw"] and self._disk_format not in INSPECTABLE
        if self._disk_format in ("raw", *formats) or uninspectable:
            return None
        return (
            f"Image disk_format {self._disk_format} does not match stream data"
            f" {formats[0]}. Set disk_format to what the data is, or convert the data."
        )

    def _may_be_fixed_vhd(self) -> bool:
        return bool(self._pending and isinstance(self._pending.inspector, FixedVhd))

    def _disks(self) -> dict[str, Candidate]:
        candidates = self._candidates or {}
        if candidates.keys() == HYBRID_ISO:
            return {"iso": candidates["iso"]}
        return candidates

    def _check(self, name: str, objections: Iterable[Objection]) -> None:
        if not (name == "gpt" and self._disk_format in NEVER_DISKS):
            self._verdicts.judge(objections)

    def _virtual_size(self) -> int | None:
        if self._container_format != "bare":
            return None
        if self._disk_format in ("raw", "gpt"):
            return self._size
        candidate = self._disks().get(self._disk_format)
        if candidate is None:
            return None
        if isinstance(candidate.inspector, Iso):
            self._verdicts.judge(candidate.inspector.cut_off(self._size))
            return self._size
        size = parsed_size(candidate, self._size)
        if size is None or not 0 <= size <= LARGEST:
            raise ContentRefused(
                f"Image data is {self._disk_format}, but its headers give no possible"
                " virtual size. Check that the file is whole, then upload it again."
            )
        return size


def parsed_size(candidate: Candidate, size: int) -> int | None:
    """Return the virtual size of a disk in bytes, as its headers say; None if they are invalid.

    ``size`` is the number of bytes of all data. A LUKS disk is as large as the data behind its
    header.
    """
    inspector = candidate.inspector
    try:
        if isinstance(inspector, Luks):
            return size - inspector.payload_offset()
        return inspector.virtual_size
    except Exception:
        return None
