"""What the bytes of an image are, told while they stream, from the first MiB where possible.

Leans on the inspectors of oslo.utils; knows nothing of models, stores or HTTP.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from django.conf import settings
from oslo_utils.imageutils import format_inspector as oslo

from images.errors import ContentRefused

log = logging.getLogger(__name__)

HEAD = 1 << 20  # bytes; every format shows its signature here
SLICE = 64 << 10  # bytes; fixed, because some inspectors depend on how a stream is cut
FOOTER = 1536  # bytes; the end of a streamOptimized vmdk
LARGEST_DISK = 2**63 - 1  # bytes; of qemu, and of a bigint column
INSIDE = "ovf"  # for what is in a container: any disk_format, and every check
# Not disks: there the two signature bytes of a partition table are mere chance.
ARCHIVES = ("ova", "docker", "compressed")
# Kernels may carry the signature of a partition table without being a disk.
NEVER_DISKS = ("aki", "ari")
# Its partition table is there for booting from a stick only.
HYBRID_ISO = {"iso", "gpt"}

SELF_CONTAINED = "Make it one self-contained file with qemu-img convert."
REMEDIES = {
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

# qemu takes a file for a vmdk descriptor, which may name any file of the host, when only
# comments and blank lines come before the version.
VMDK_DESCRIPTOR = re.compile(
    rb"(?:#[^\n]*+\n|[\r\n]++| ++\r?\n)*+version=[123]\r?\n"  # no backtracking
)
VMDK_SPARSE = (b"KDMV", b"COWD")


@dataclass
class Candidate:
    """A format which the data may have, and how far its inspector came."""

    inspector: oslo.FileInspector
    broken: bool = False

    def read(self, data: bytes) -> None:
        """Show the inspector the next bytes; never raises."""
        try:
            self.inspector.eat_chunk(data)
        except Exception as error:
            log.debug("%s: not readable: %s", self.inspector, error)
            self.broken = True

    @property
    def matches(self) -> bool:
        """Whether the data bears the format's signature."""
        try:
            return self.inspector.format_match
        except Exception:
            return False

    @property
    def settled(self) -> bool:
        """Whether more data can change nothing."""
        return self.broken or self.inspector.complete

    def objections(self) -> dict[str, str]:
        """Failed safety checks: name -> reason. Unreadable counts as unsafe."""
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
    """One pass over an image's bytes: `feed` each block, then ask for the `verdict`.

    Memory is constant (1 MiB), and the verdict does not depend on how the bytes are cut.
    """

    def __init__(self, disk_format: str, container_format: str) -> None:
        self._disk_format = disk_format
        self._container_format = container_format
        self._size = 0
        self._head = bytearray()
        self._found: dict[str, Candidate] | None = None  # None: still filling the head
        self._pending: Candidate | None = None  # has to see more than the head
        self._rest = b""
        self._tricks: dict[str, str] = {}

    def feed(self, block: bytes) -> None:
        """Look at the next block, of any size; ContentRefused as soon as it is certain."""
        self._size += len(block)
        if self._found is None:
            block = self._fill_head(block)
        if self._pending:
            self._follow(self._pending, block)

    @property
    def settled(self) -> bool:
        """Whether more data can change nothing but the size."""
        return self._found is not None and self._pending is None

    def verdict(self) -> int | None:
        """The virtual size in bytes, None where there is none; ContentRefused."""
        if not self._size:
            return None
        if self._found is None:
            self._examine()
        self._finish()
        self._judge()
        if mismatch := self._mismatch():
            log.warning("Accepted, as matching is switched off: %s", mismatch)
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
        self._found = detect(head)
        # Whatever matches unfinished has its signature at byte 0: there is at most one.
        for candidate in self._found.values():
            if not candidate.settled:
                self._pending = candidate

    def _follow(self, pending: Candidate, block: bytes) -> None:
        if pending.inspector.NAME == "vmdk":  # only its end is missing
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
        """Refuse what can be refused by now; what is pending is judged later."""
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
        found = sorted(self._disks()) or ["raw"]
        if len(found) > 1:
            return f"Image data looks like several formats at once: {', '.join(found)}."
        uninspectable = found == ["raw"] and self._disk_format not in oslo.ALL_FORMATS
        if self._disk_format in ("raw", *found) or uninspectable:
            return None
        return (
            f"Image disk_format {self._disk_format} does not match stream data"
            f" {found[0]}. Set disk_format to what the data is, or convert the data."
        )

    def _disks(self) -> dict[str, Candidate]:
        found = self._found or {}
        if found.keys() == HYBRID_ISO:
            return {"iso": found["iso"]}
        return found

    def _check(self, name: str, objections: dict[str, str]) -> None:
        lenient = self._disk_format in NEVER_DISKS or self._container_format in ARCHIVES
        if not objections or (name == "gpt" and lenient):
            return
        said = " ".join(
            f"{reason} ({name} {check}). {REMEDIES.get(check, '')}".strip()
            for check, reason in objections.items()
        )
        raise unsafe(said)

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


def unsafe(said: str) -> ContentRefused:
    """The refusal of data for what was found in it."""
    return ContentRefused(f"Image failed safety checks: {said}")


def detect(head: bytes) -> dict[str, Candidate]:
    """The formats whose signature the first MiB bears, "raw" excluded, by name."""
    found = {}
    for name, make in oslo.ALL_FORMATS.items():
        if name == "raw":
            continue
        candidate = Candidate(make())
        # The vmdk inspector parses its descriptor from one block only: give it all.
        step = HEAD if name == "vmdk" else SLICE
        for start in range(0, len(head), step):
            candidate.read(head[start : start + step])
            if candidate.settled:
                break
        if candidate.matches:
            found[name] = candidate
    if "vmdk" in found and not found["vmdk"].inspector.region("descriptor").complete:
        found["vmdk"].broken = True
    return found


def disk_format_of(head: bytes) -> str | None:
    """The disk_format that suits data with this first MiB; None when it does not tell.

    A bare partition table or LUKS header is a raw disk. Nothing is said about safety.
    """
    found = set(detect(head))
    if found == HYBRID_ISO:
        return "iso"
    if len(found) != 1:
        return None
    (name,) = found
    return {"gpt": "raw", "luks": "raw", "qed": None}.get(name, name)


def tricks(head: bytes) -> dict[str, str]:
    """What qemu would open from a first MiB and the inspectors let pass: name -> reason."""
    if VMDK_DESCRIPTOR.match(head):
        return {"descriptor": "The data is a vmdk descriptor that names other files"}
    if head.startswith(VMDK_SPARSE):
        return vmdk_tricks(head)
    if len(head) < 512 and head.startswith((b"QFI\xfb", b"QED\x00")):
        return {"incomplete": "The data ends within a disk header"}
    return {}


def vmdk_tricks(head: bytes) -> dict[str, str]:
    """Like `tricks`, for a sparse vmdk: a parent disk, or extents elsewhere."""
    descriptor = head[512:].split(b"\x00", 1)[0].lower()
    if b"parentfilenamehint" in descriptor:
        return {"backing_file": "The vmdk has a parent disk"}
    # Without a capacity of its own qemu follows the descriptor's extents instead.
    if head.startswith(b"KDMV") and not any(head[12:20]):
        return {"descriptor": "The vmdk has no capacity of its own"}
    return {}


def parsed_size(inspector: oslo.FileInspector, size: int) -> int | None:
    """The virtual size that the headers give, in bytes; None where they are nonsense.

    `size` is that of the whole data: a luks disk is what follows its header.
    """
    try:
        if inspector.NAME == "luks":
            return size - (inspector.actual_size - inspector.virtual_size)
        return inspector.virtual_size
    except Exception:
        return None
