"""Inspection of sparse VMDK disks: header, descriptor and footer.

oslo.utils decodes descriptors as ASCII, accepts extents of any type, and does not see parents. A
descriptor is read as bytes here: all encodings that VMware declares contain ASCII, and no consumer
reads more than that from it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.verdicts import Objection

# qemu reads a file as a descriptor, which can name any file of the host, if only comments and
# blank lines precede the version.
BARE_DESCRIPTOR = re.compile(
    rb"(?:#[^\n]*+\n|[\r\n]++| ++\r?\n)*+version=[123]\r?\n"  # no backtracking
)
SPARSE = (b"KDMV", b"COWD")
TYPES = (b"monolithicsparse", b"streamoptimized")
SETTING = re.compile(rb'([\w.]+)\s*=\s*"?([^"]*)"?')
EXTENT = re.compile(rb'(?:rw|rdonly|noaccess)\s+\d+\s+sparse\s+"[^"/\\]+"', re.I)
ACCESS = re.compile(rb"(?:rw|rdonly|noaccess)\s", re.I)
# qemu looks for the key anywhere, also in comments, and takes what follows two characters later
# up to the next quotation mark.
PARENT = re.compile(rb'parentfilenamehint(?!="")', re.I)
NO_PARENT = b"ffffffff"
LARGEST_GRAIN = 0x200000  # sectors, as in qemu
MOST_ENTRIES = 512  # of a grain table, as in qemu


class Vmdk(oslo.VMDKInspector):
    """The inspector of a sparse VMDK disk that is a single file."""

    descriptor: bytes | None = None

    def region_complete(self, region_name: str) -> None:
        """Store the descriptor as soon as it is read. oslo.utils calls this for each region of the file."""
        if region_name == "descriptor":
            region = self.region(region_name)
            self.descriptor = bytes(region.data).partition(b"\0")[0]

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield an Objection for each safety check that the data fails.

        ``size`` is the number of bytes of all data, or None if the end of the data is not reached
        yet.
        """
        header = bytes(self.region("header").data)
        if absurd := _absurd(header):
            yield Objection("vmdk_header", f"Its header has {absurd}")
        yield from _descriptor(self.descriptor or b"")
        if size is not None and self.has_region("footer"):
            try:
                self.check_footer()
            except oslo.SafetyViolation as error:
                yield Objection("vmdk_footer", str(error))
            if self.region("footer").data[524:532] != header[12:20]:
                yield Objection(
                    "vmdk_footer", "Header and footer have different capacities"
                )

    @property
    def virtual_size(self) -> int:
        """The size of the virtual disk in bytes, as its header says."""
        return 512 * int.from_bytes(self.region("header").data[12:20], "little")


def dangers(head: bytes) -> Iterator[Objection]:
    """Yield an Objection for each danger in data that a consumer might open as a VMDK.

    These checks apply to data of every detected format. ``head`` is the first MiB of the data.
    """
    if BARE_DESCRIPTOR.match(head):
        yield Objection(
            "vmdk_extents", "The data is a vmdk descriptor that names other files"
        )
    if not head.startswith(SPARSE):
        return
    if PARENT.search(head[512:].partition(b"\0")[0]):
        yield Objection("vmdk_parent", "The vmdk has a parent disk")
    # Without a capacity in the header qemu uses the extents of the descriptor instead.
    if head.startswith(b"KDMV") and not any(head[12:20]):
        yield Objection("vmdk_extents", "The vmdk has no capacity in its header")


def _descriptor(text: bytes) -> Iterator[Objection]:
    """Yield an Objection for each failed check of a VMDK descriptor.

    A line of an unknown kind is a failed check.
    """
    values: dict[bytes, set[bytes]] = {}
    extents = 0
    for line in map(bytes.strip, text.split(b"\n")):
        if not line or line.startswith(b"#"):
            continue
        setting = SETTING.fullmatch(line)
        if ACCESS.match(line):
            extents += 1
            if not EXTENT.fullmatch(line):
                yield Objection("vmdk_extents", "Its descriptor names another file")
        elif setting:
            key, value = setting.group(1).lower(), setting.group(2).strip().lower()
            values.setdefault(key, set()).add(value)
        else:
            yield Objection(
                "vmdk_descriptor", "Its descriptor has a line that is none of a VMDK"
            )
            return
    if not values:
        yield Objection("vmdk_descriptor", "No descriptor found")
        return
    if values.get(b"parentcid", {NO_PARENT}) != {NO_PARENT}:
        yield Objection("vmdk_parent", "The vmdk has a parent disk")
    types = values.get(b"createtype", set())
    if len(types) != 1 or not types <= set(TYPES):
        yield Objection("vmdk_descriptor", "Unsupported subformat")
    if extents != 1:
        yield Objection("vmdk_extents", f"Its descriptor has {extents} extents")


def _absurd(header: bytes) -> str | None:
    """Return a phrase about a header value that makes the disk unsafe to open; None if there is none."""
    grain = int.from_bytes(header[20:28], "little")
    (entries,) = struct.unpack_from("<I", header, 44)
    if not 0 < grain <= LARGEST_GRAIN or grain.bit_count() != 1:
        return f"grains of {grain} sectors"
    if not 0 < entries <= MOST_ENTRIES:
        return f"grain tables of {entries} entries"
    return None
