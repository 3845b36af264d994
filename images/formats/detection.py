"""Detection of disk formats in the first MiB of data.

oslo.utils recognises the formats and collects the parts of their headers. The other modules of this
package decide what is unsafe. The docstring of each says where oslo.utils accepts unsafe data, or
refuses safe data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.iso import Iso
from images.formats.luks import Luks
from images.formats.partitions import Partitions
from images.formats.qcow2 import Qcow2
from images.formats.qed import Qed
from images.formats.vdi import Vdi
from images.formats.verdicts import Objection
from images.formats.vhd import Vhd
from images.formats.vhdx import Vhdx
from images.formats.vmdk import Vmdk

log = logging.getLogger(__name__)

HEAD = 1 << 20  # bytes; contains the signature of every format
SLICE = 64 << 10  # bytes; fixed, because some inspectors depend on the sizes of blocks
# A hybrid ISO has a partition table only for booting from a USB stick.
HYBRID_ISO = {"iso", "gpt"}


class Disk(Protocol):
    """The interface of an inspector of one disk format.

    It has the methods of an inspector of oslo.utils, and ``objections``.
    """

    NAME: str

    @property
    def complete(self) -> bool:
        """Whether the inspector has read all the data that it needs."""

    @property
    def format_match(self) -> bool:
        """Whether the data that was read has the signature of the format."""

    @property
    def virtual_size(self) -> int:
        """The size of the virtual disk in bytes, as its headers say."""

    def eat_chunk(self, chunk: bytes) -> None:
        """Read the next bytes of the data."""

    def finish(self) -> None:
        """Tell the inspector that the data has ended."""

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield an Objection for each safety check that the data fails.

        ``size`` is the number of bytes of all data, or None if the end of the data is not reached
        yet.
        """


FORMATS: Final[dict[str, Callable[[], Disk]]] = {
    "qcow2": Qcow2,
    "vhd": Vhd,
    "vhdx": Vhdx,
    "vmdk": Vmdk,
    "vdi": Vdi,
    "qed": Qed,
    "iso": Iso,
    "gpt": Partitions,
    "luks": Luks,
}
INSPECTABLE: Final = frozenset({"raw", *FORMATS})


@dataclass
class Candidate:
    """A disk format that the data can have, with the inspector of this format.

    ``broken`` is true if the inspector has raised an error.
    """

    inspector: Disk
    broken: bool = False

    def read(self, data: bytes) -> None:
        """Let the inspector read the next bytes.

        If the inspector raises an error, the candidate becomes ``broken``.
        """
        try:
            self.inspector.eat_chunk(data)
        except Exception as error:
            log.debug("%s: not readable: %s", self.inspector, error)
            self.broken = True

    def drop_own_checks(self) -> None:
        """Remove the safety checks that oslo.utils gives the inspector; ``objections`` replaces them.

        These checks refer to the inspector: with them the inspector and up to 1 MiB of data would
        stay in memory until the next garbage collection.
        """
        getattr(self.inspector, "_safety_checks", {}).clear()

    @property
    def matches(self) -> bool:
        """Whether the data has the signature of the format."""
        try:
            return self.inspector.format_match
        except Exception:
            return False

    @property
    def settled(self) -> bool:
        """Whether the inspector needs no more data, because it has all that it needs or has failed."""
        return self.broken or self.inspector.complete

    @property
    def lacks_only_the_end(self) -> bool:
        """Whether the inspector needs nothing more than the last bytes of the data."""
        regions = getattr(self.inspector, "_capture_regions", {}).values()
        missing = [region for region in regions if not region.complete]
        return bool(missing) and all(
            isinstance(region, oslo.EndCaptureRegion) for region in missing
        )

    def objections(self, size: int | None) -> list[Objection]:
        """Return an Objection for each safety check that the data fails.

        Headers that cannot be read count as a failed check. ``size`` is the number of bytes of all
        data, or None if the end of the data is not reached yet.
        """
        name = self.inspector.NAME
        if self.broken:
            return [Objection("incomplete", f"Its {name} headers cannot be read")]
        if not self.inspector.complete:
            return [Objection("incomplete", f"Its {name} headers are incomplete")]
        try:
            return list(self.inspector.objections(size))
        except Exception as error:
            log.debug("%s: not readable: %s", self.inspector, error)
            return [Objection("incomplete", f"Its {name} headers cannot be read")]


def detect(head: bytes) -> dict[str, Candidate]:
    """Return the disk formats whose signature is in ``head``: name -> candidate.

    ``head`` is the first MiB of the data. "raw" is never among the formats: it has no
    signature.
    """
    candidates = {}
    for name, make in FORMATS.items():
        candidate = Candidate(make())
        # The vmdk inspector parses its descriptor from one block only, so it gets the whole head.
        step = HEAD if name == "vmdk" else SLICE
        for start in range(0, len(head), step):
            candidate.read(head[start : start + step])
            if candidate.settled:
                break
        candidate.drop_own_checks()
        if candidate.matches:
            candidates[name] = candidate
    vmdk = candidates.get("vmdk")
    if vmdk and isinstance(vmdk.inspector, Vmdk) and vmdk.inspector.descriptor is None:
        vmdk.broken = True
    return candidates


def disk_format_of(head: bytes) -> str | None:
    """Return the disk_format of data that begins with ``head``; None if it is not certain.

    ``head`` is the first MiB. Data with only a partition table or a LUKS header is a raw disk. Does
    not check whether the data is safe.
    """
    formats = set(detect(head))
    if formats == HYBRID_ISO:
        return "iso"
    if len(formats) != 1:
        return None
    (name,) = formats
    return {"gpt": "raw", "luks": "raw", "qed": None}.get(name, name)
