"""Inspection, while they stream, of containers (archives, compressed data) and of the data in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from images.errors import ContentRefused
from images.formats.compressed import OPENED, Budget, Compressed, compression_of
from images.formats.ovf import Ovf, looks_like_ovf
from images.formats.tar import BLOCK, Tar, is_tar
from images.formats.verdicts import refused

if TYPE_CHECKING:
    from images.formats.disks import Inspection

MOST_LAYERS = 4  # of archives and compressions in one another
OPAQUE = ("bare", "ami", "ari", "aki")  # their data is a disk, and never opened
PACKED = ("ova", "docker", "compressed")
INSIDE = "ovf"  # for data in a container: any disk_format, with all safety checks


class Inspector(Protocol):
    """The interface of an inspector of image data: ``feed`` each block, then call ``verdict``."""

    def feed(self, block: bytes) -> None:
        """Inspect the next block, of any size. Raises ContentRefused once the data is unsafe."""

    def verdict(self) -> int | None:
        """End the inspection; return the disk's virtual size in bytes, or None if it is unknown.

        Raises ContentRefused for unsafe data, and for data of another format than declared.
        """


def inspection(
    disk_format: str, container_format: str, label: str = "data"
) -> Inspector:
    """Return an inspector for data of these formats; ``label`` names the data in the log.

    The inspector examines the disk itself, each file in an OVA, or the data inside compressed data,
    and refuses data that is not in the declared container format. Files in a docker archive are not
    inspected: they are file systems, in which no consumer looks for disks.
    """
    if container_format in OPAQUE or not container_format:
        return _disk(disk_format, container_format, label)
    return Content(disk_format, container_format, label, Budget())


def _disk(disk_format: str, container_format: str, label: str) -> Inspection:
    # Most commands never inspect data, and oslo.utils would take a sixth of their start.
    from images.formats.disks import Inspection

    return Inspection(disk_format, container_format, label)


class Content:
    """The inspector of a disk, an archive or compressed data, and of all data inside.

    An archive is inspected as a disk, too, because a file can be both. ``layers`` is the number of
    archives and compressions around the data, including its own; ``name`` is the name of a file in
    an archive.
    """

    def __init__(
        self,
        disk_format: str,
        container_format: str,
        label: str,
        budget: Budget,
        layers: int = 1,
        name: str = "",
    ) -> None:
        self._disk_format, self._container = disk_format, container_format
        self._label, self._budget = label, budget
        self._layers, self._name = layers, name
        self._disk = _disk(disk_format, container_format, label)
        self._begin = b""  # until there is enough to know what it is
        self._known = False
        self._opened: Tar | Compressed | Ovf | None = None

    def feed(self, block: bytes) -> None:
        """Inspect the next block, of any size. Raises ContentRefused if the data is unsafe."""
        self._disk.feed(block)
        if not self._known:
            block = self._begin + block
            self._begin = block
            if len(block) < BLOCK:
                return
            self._open()
        if self._opened:
            self._opened.feed(block)

    @property
    def settled(self) -> bool:
        """Whether the result of the inspection is certain already, whatever data follows."""
        opened = self._opened is None or self._opened.settled
        return self._known and self._disk.settled and opened

    def verdict(self) -> int | None:
        """End the inspection; return the virtual size of the disk in bytes, or None if it is unknown.

        Raises ContentRefused for unsafe data, and for data of another format than declared.
        """
        if not self._known and self._begin:
            begin = self._begin
            self._open()
            if self._opened:
                self._opened.feed(begin)
        if self._opened:
            self._opened.verdict()
        return self._disk.verdict()

    def _open(self) -> None:
        """Recognise an archive or compressed data by its beginning, and choose its inspector.

        Raises ContentRefused if the data is not in the declared container, or in one of an unknown
        kind.
        """
        begin, self._begin, self._known = self._begin, b"", True
        method = compression_of(begin)
        kind = "tar" if is_tar(begin) else method
        if self._container == "docker":
            self._open_docker(kind)
            return
        if self._container in PACKED and self._layers == 1:
            self._check_container(kind)
        if self._layers > MOST_LAYERS and kind:
            raise refused(
                "archive", f"It has more than {MOST_LAYERS} layers of archives"
            )
        if kind == "tar":
            self._opened = Tar(self._inside)
        elif kind in OPENED:
            self._opened = Compressed(kind, self._inside(""), self._budget)
        elif kind:
            raise refused("compression", f"Its {kind} data cannot be looked into")
        elif self._is_ovf(begin):
            self._opened = Ovf()

    def _check_container(self, kind: str | None) -> None:
        """Raise ContentRefused unless the detected ``kind`` of data fits the declared container."""
        if self._container == "compressed" and kind != "tar" and kind is not None:
            return
        if self._container == "ova" and kind == "tar":
            return
        raise self._wrong_container(kind)

    def _open_docker(self, kind: str | None) -> None:
        """Choose the inspector of a docker archive: a tar archive, compressed at most once.

        Raises ContentRefused for any other ``kind`` of data.
        """
        if kind == "tar":
            return
        if kind not in OPENED or self._layers > 1:
            raise self._wrong_container(kind)
        inside = Content(
            self._disk_format, "docker", self._label, self._budget, self._layers + 1
        )
        self._opened = Compressed(kind, inside, self._budget)

    def _wrong_container(self, kind: str | None) -> ContentRefused:
        wanted = {
            "ova": "an uncompressed tar archive",
            "docker": "a tar archive, compressed at most once",
            "compressed": "compressed data",
        }[self._container]
        what = f"{kind} data" if kind else "something else"
        return refused(
            "container",
            f"Image container_format {self._container} needs {wanted}, and the data is {what}",
        )

    def _inside(self, name: str) -> Content:
        """Return an inspector for the file ``name`` of an archive, or for the decompressed data."""
        disk_format = self._disk_format if self._container == "compressed" else ""
        layers = self._layers + 1
        return Content(disk_format, INSIDE, self._label, self._budget, layers, name)

    def _is_ovf(self, begin: bytes) -> bool:
        if self._name.lower().endswith(".ovf"):
            return True
        return self._layers == 1 and self._container == "ovf" and looks_like_ovf(begin)
