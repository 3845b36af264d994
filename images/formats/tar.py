"""Inspection of the files in a tar archive while it streams."""

from __future__ import annotations

import re
import tarfile

from images.errors import ContentRefused
from images.formats.disks import INSIDE, Inspection
from images.formats.verdicts import refused

MOST_FILES = 1000  # of an OVA, which has a description, disks and their checksums
MOST_RECORDS = 1 << 20  # bytes of all extended headers
PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
WITHOUT_DATA = (tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE)
NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE)
OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
RECORD = re.compile(rb"([1-9][0-9]{0,8}) ")


class Tar:
    """The inspector of the files in a tar archive (ustar, pax, GNU), in their order.

    Archives that tar readers interpret differently are refused, because other readers might
    find other files.
    """

    def __init__(self) -> None:
        self._over = False
        self._files = 0
        self._block = bytearray()  # the current header
        self._left = self._padding = 0  # bytes of the current file, and of its padding
        self._file: Inspection | None = None
        self._records: bytearray | None = None  # the data of an extended header
        self._of_all = False  # whether it describes all following files
        self._room = MOST_RECORDS
        self._size: int | None = None  # bytes of the next file, from an extended header

    def feed(self, block: bytes) -> None:
        """Inspect the next block of the archive. Raises ContentRefused."""
        at = 0
        while at < len(block) and not self._over:
            if self._left:
                data = block[at : at + self._left]
                self._left -= len(data)
                self._data(data)
            elif self._padding:
                data = block[at : at + self._padding]
                self._padding -= len(data)
            else:
                data = block[at : at + tarfile.BLOCKSIZE - len(self._block)]
                self._block += data
                if len(self._block) == tarfile.BLOCKSIZE:
                    self._header(bytes(self._block))
                    self._block.clear()
            at += len(data)

    def finish(self) -> None:
        """End the inspection. Raises ContentRefused if the archive ends within a file or header."""
        if self._files and not self._over and (self._left or self._block):
            raise _refused("it ends in the middle of a file. Check that it is whole")

    def _data(self, data: bytes) -> None:
        if self._records is not None:
            self._records += data
        if self._file is not None:
            self._file.feed(data)
        if not self._left:
            self._end()

    def _end(self) -> None:
        if self._records is not None:
            self._apply(bytes(self._records))
        if self._file is not None:
            self._file.verdict()
        self._records = self._file = None

    def _apply(self, records: bytes) -> None:
        size = _size_in(records)
        if size is None:
            return
        if self._of_all:
            raise _refused("a header in it gives one size for all files. Pack it again")
        self._size = size

    def _header(self, block: bytes) -> None:
        if not any(block) or not (self._files or _is_tar(block)):
            self._over = True
            return
        self._files += 1
        if self._files > MOST_FILES:
            raise _refused(
                f"it has more than {MOST_FILES} files. Pack only what it needs"
            )
        kind, size = _kind(block), _number(block[124:136])
        if kind in EXTENDED:
            self._begin_records(kind, size)
        elif kind not in NAMES:
            size = size if self._size is None else self._size
            self._size = None
            if kind in PLAIN:
                self._file = Inspection("", INSIDE)
            elif size or kind not in WITHOUT_DATA:
                raise _refused(
                    f"it has a member of type {kind.decode('latin-1')!r}. Pack plain files, "
                    "none of them sparse"
                )
        self._left, self._padding = size, -size % tarfile.BLOCKSIZE
        if not size:
            self._end()

    def _begin_records(self, kind: bytes, size: int) -> None:
        self._records, self._of_all = bytearray(), kind == tarfile.XGLTYPE
        self._room -= size
        if self._room < 0:
            raise _refused("its headers are too long. Pack it again")


def _sum(block: bytes) -> int:
    """Return the checksum of a header, in which the checksum field counts as blanks."""
    return sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


def _is_tar(block: bytes) -> bool:
    """Whether any tar reader can accept the block as a header."""
    checksum = re.search(rb"[0-7]+", block[148:156])
    return block[257:262] == b"ustar" or bool(
        checksum and int(checksum[0], 8) == _sum(block)
    )


def _kind(block: bytes) -> bytes:
    """Return the type of a file. Raises ContentRefused unless all readers accept its header."""
    if _number(block[148:156]) != _sum(block):
        raise _refused("a header in it is damaged. Pack it again")
    kind = block[156:157]
    is_folder = block[:100].partition(b"\0")[0].endswith(b"/")
    return tarfile.DIRTYPE if kind in PLAIN and is_folder else kind


def _number(field: bytes) -> int:
    """Parse octal digits or GNU's base 256. Raises ContentRefused unless all readers can."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    octal = OCTAL.fullmatch(field)
    if octal is None:
        raise _refused("a header in it is damaged. Pack it again")
    return int(octal[1], 8)


def _size_in(records: bytes) -> int | None:
    """Return the size that an extended header (POSIX.1-2017, pax) gives for the next file, or None.

    Raises ContentRefused for a damaged header, or that of a sparse file.
    """
    size, at = None, 0
    while at < len(records):
        length = RECORD.match(records, at)
        end = at + int(length[1]) if length else 0
        if not length or records[end - 1 : end] != b"\n":
            raise _refused("a header in it is damaged. Pack it again")
        name, _, value = records[length.end() : end - 1].partition(b"=")
        if name.startswith(b"GNU.sparse"):
            raise _refused("it has sparse files. Pack plain ones")
        if name == b"size":
            if not re.fullmatch(rb"[0-9]{1,18}", value):
                raise _refused("a header in it is damaged. Pack it again")
            size = int(value)
        at = end
    return size


def _refused(why: str) -> ContentRefused:
    return refused("archive", f"Of its tar archive, {why}")
