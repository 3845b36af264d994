"""Inspection of disk formats in streaming data, from the first MiB if possible.

Uses the inspectors of oslo.utils; knows nothing of models, stores or HTTP.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from django.conf import settings
from oslo_utils.imageutils import format_inspector as oslo

from images.errors import ContentRefused

log = logging.getLogger(__name__)

HEAD = 1 << 20  # bytes; contains the signature of every format
SLICE = 64 << 10  # bytes; fixed, because some inspectors depend on the sizes of blocks
FOOTER = 1536  # bytes; the end of a streamOptimized vmdk
LARGEST_DISK = 2**63 - 1  # bytes; the limit of qemu and of a bigint column
INSIDE = "ovf"  # for data in a container: any disk_format, with all safety checks
# Archives are no disks: the two signature bytes of a partition table occur by chance.
ARCHIVES = ("ova", "docker", "compressed")
# Kernels can have the signature of a partition table without being a disk.
NEVER_DISKS = ("aki", "ari")
# A hybrid ISO has a partition table only for booting from a USB stick.
HYBRID_ISO = {"iso", "gpt"}

SELF_CONTAINED = "Make it one self-contained file with qemu-img convert."
ADVICE = {
    "backing_file": SELF_CONTAINED,
    "data_file": SELF_CONTAINED,
    "unknown_features": "Convert it with qemu-img convert -O qcow2, without options.",
    "banned": "Convert it with qemu-img convert -O qcow2.",
    "descriptor": "Convert it to the subformat monolithicSparse or streamOptimized.",
    "footer": "Convert it again to the subformat streamOptimized.",
    "mbr": "Repair the partition table.",
    "version": "Only LUKS version 1 can be checked.",
    "incomplete": "Check that the file is whole, then upload it again.",
}

# qemu reads a file as a vmdk descriptor, which can name any file of the host, if only
# comments and blank lines precede the version.
VMDK_DESCRIPTOR = re.compile(
    rb"(?:#[^\n]*+\n|[\r\n]++| ++\r?\n)*+version=[123]\r?\n"  # no backtracking
)
VMDK_SPARSE = (b"KDMV", b"COWD")


@dataclass
class Candidate:
    """A format that the data can have, and the state of its inspector."""

    inspector: oslo.FileInspector
    broken: bool = False

    def read(self, data: bytes) -> None:
        """Pass the next bytes to the inspector. Never raises."""
        try:
            self.inspector.eat_chunk(data)
        except Exception as error:
            log.debug("%s: not readable: %s", self.inspector, error)
            self.broken = True

    @property
    def matches(self) -> bool:
        """Whether the data has the signature of the format."""
        try:
            return self.inspector.format_match
        except Exception:
            return False

    @property
    def settled(self) -> bool:
        """Whether more data cannot change the result."""
        return self.broken or self.inspector.complete

    def objections(self) -> dict[str, str]:
        """Return failed safety checks: name -> reason. Unreadable headers count as unsafe."""
        if self.broken:
            return {"incomplete": "Its headers cannot be read"}
        try:
            self.inspector.safety_check()
        except oslo.SafetyCheckFailed as error:
            return {name: str(reason) for name, reason in error.failures.items()}
        except Exception:
            return {"incomplete": "Its headers are incomplete"}
        return {}


class Inspection:
    """An inspection of image data in one pass: `feed` each block, then call `verdict`.

    Memory is constant (1 MiB), and the result does not depend on the sizes of blocks.
    """

    def __init__(self, disk_format: str, container_format: str) -> None:
        self._disk_format = disk_format
        self._container_format = container_format
        self._size = 0
        self._head = bytearray()
        self._candidates: dict[str, Candidate] | None = (
            None  # None: still filling the head
        )
        self._pending: Candidate | None = None  # needs more than the head
        self._rest = b""
        self._tricks: dict[str, str] = {}

    def feed(self, block: bytes) -> None:
        """Inspect the next block, of any size. Raises ContentRefused as soon as it is certain."""
        self._size += len(block)
        if self._candidates is None:
            block = self._fill_head(block)
        if self._pending:
            self._follow(self._pending, block)

    @property
    def settled(self) -> bool:
        """Whether more data can change only the size."""
        return self._candidates is not None and self._pending is None

    def verdict(self) -> int | None:
        """Complete the inspection: return the disk's virtual size in bytes, or None if it has none.

        Raises ContentRefused for unsafe data, and for data of another format than declared.
        """
        if not self._size:
            return None
        if self._candidates is None:
            self._examine()
        self._finish()
        self._judge()
        if mismatch := self._mismatch():
            log.warning(
                "The data is accepted, because format matching is off: %s", mismatch
            )
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
        self._tricks = tricks(head)
        self._candidates = detect(head)
        # Unsettled candidates have their signature at byte 0, so there is at most one.
        for candidate in self._candidates.values():
            if not candidate.settled:
                self._pending = candidate

    def _follow(self, pending: Candidate, block: bytes) -> None:
        if pending.inspector.NAME == "vmdk":  # only the footer is missing
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
        if self._pending:
            self._pending.read(self._rest)
            self._pending.inspector.finish()
            self._pending, self._rest = None, b""

    def _judge(self) -> None:
        """Raise ContentRefused for what is certain now; the pending candidate is checked later."""
        required = settings.IMAGECATALOG_REQUIRE_FORMAT_MATCH
        if required and (mismatch := self._mismatch()):
            raise ContentRefused(mismatch)
        self._check("data", self._tricks)
        for name, candidate in self._disks().items():
            if candidate is not self._pending:
                self._check(name, candidate.objections())

    def _mismatch(self) -> str | None:
        if self._container_format != "bare":
            return None
        formats = sorted(self._disks()) or ["raw"]
        if len(formats) > 1:
            return (
                f"Image data looks like several formats at once: {', '.join(formats)}."
            )
        uninspectable = formats == ["raw"] and self._disk_format not in oslo.ALL_FORMATS
        if self._disk_format in ("raw", *formats) or uninspectable:
            return None
        return (
            f"Image disk_format {self._disk_format} does not match stream data"
            f" {formats[0]}. Set disk_format to what the data is, or convert the data."
        )

    def _disks(self) -> dict[str, Candidate]:
        candidates = self._candidates or {}
        if candidates.keys() == HYBRID_ISO:
            return {"iso": candidates["iso"]}
        return candidates

    def _check(self, name: str, objections: dict[str, str]) -> None:
        lenient = self._disk_format in NEVER_DISKS or self._container_format in ARCHIVES
        if not objections or (name == "gpt" and lenient):
            return
        reasons = " ".join(
            f"{reason} ({name} {check}). {ADVICE.get(check, '')}".strip()
            for check, reason in objections.items()
        )
        raise unsafe(reasons)

    def _virtual_size(self) -> int | None:
        if self._container_format != "bare":
            return None
        if self._disk_format in ("raw", "gpt"):
            return self._size
        candidate = self._disks().get(self._disk_format)
        if candidate is None:
            return None
        size = parsed_size(candidate.inspector, self._size)
        if size is None or not 0 <= size <= LARGEST_DISK:
            raise ContentRefused(
                f"Image data is {self._disk_format}, but its headers give no possible"
                " virtual size. Check that the file is whole, then upload it again."
            )
        return size


def unsafe(reasons: str) -> ContentRefused:
    """Return the error for data that failed safety checks."""
    return ContentRefused(f"Image failed safety checks: {reasons}")


def detect(head: bytes) -> dict[str, Candidate]:
    """Return the formats whose signature is in the first MiB, without "raw", by name."""
    candidates = {}
    for name, make in oslo.ALL_FORMATS.items():
        if name == "raw":
            continue
        candidate = Candidate(make())
        # The vmdk inspector parses its descriptor from one block only, so it gets the whole head.
        step = HEAD if name == "vmdk" else SLICE
        for start in range(0, len(head), step):
            candidate.read(head[start : start + step])
            if candidate.settled:
                break
        if candidate.matches:
            candidates[name] = candidate
    if (
        "vmdk" in candidates
        and not candidates["vmdk"].inspector.region("descriptor").complete
    ):
        candidates["vmdk"].broken = True
    return candidates


def disk_format_of(head: bytes) -> str | None:
    """Return the disk_format of data with this first MiB; None if it is not certain.

    A bare partition table or LUKS header is a raw disk. Safety is not checked.
    """
    formats = set(detect(head))
    if formats == HYBRID_ISO:
        return "iso"
    if len(formats) != 1:
        return None
    (name,) = formats
    return {"gpt": "raw", "luks": "raw", "qed": None}.get(name, name)


def tricks(head: bytes) -> dict[str, str]:
    """Return the dangers in a disk header that the inspectors miss: name -> why qemu must not open it."""
    if VMDK_DESCRIPTOR.match(head):
        return {"descriptor": "The data is a vmdk descriptor that names other files"}
    if head.startswith(VMDK_SPARSE):
        return vmdk_tricks(head)
    if len(head) < 512 and head.startswith((b"QFI\xfb", b"QED\x00")):
        return {"incomplete": "The data ends within a disk header"}
    return {}


def vmdk_tricks(head: bytes) -> dict[str, str]:
    """Return the dangers of a sparse vmdk, as `tricks` does: a parent disk, external extents."""
    descriptor = head[512:].split(b"\x00", 1)[0].lower()
    if b"parentfilenamehint" in descriptor:
        return {"backing_file": "The vmdk has a parent disk"}
    # Without a capacity in the header qemu uses the extents of the descriptor instead.
    if head.startswith(b"KDMV") and not any(head[12:20]):
        return {"descriptor": "The vmdk has no capacity in its header"}
    return {}


def parsed_size(inspector: oslo.FileInspector, size: int) -> int | None:
    """Return the virtual size in the headers, in bytes; None if they are invalid.

    `size` is that of the whole data: a LUKS disk is the data after its header.
    """
    try:
        if inspector.NAME == "luks":
            return size - (inspector.actual_size - inspector.virtual_size)
        return inspector.virtual_size
    except Exception:
        return None
