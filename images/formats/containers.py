"""What is inside an image's container, inspected while it streams; the container as a whole too."""

from __future__ import annotations

import re
import tarfile
import zlib
from typing import Protocol

from images.errors import ContentRefused
from images.formats.disks import HEAD, Inspection

# For what is inside: no disk_format to be held against, but every other check.
INSIDE = ("", "ovf")
MOST_FILES = 1000  # of an OVA, which has a description, disks and their checksums
MOST_PARTS = 100  # of a gzip file, before the first MiB has been seen
LONGEST_HEADER = 1 << 20  # bytes of the data of an extended header
GZIP = b"\x1f\x8b\x08"  # RFC 1952, section 2.3.1
PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
WITHOUT_DATA = (tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE)
NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
RECORD = re.compile(rb"([1-9][0-9]{0,8}) ")


class Inspector(Protocol):
    """What looks at data that streams by, as ``Inspection`` does."""

    def feed(self, block: bytes) -> None:
        """Look at the next block, of any size; ContentRefused as soon as it is certain."""

    def verdict(self) -> int | None:
        """The virtual size in bytes, None where there is none; ContentRefused."""


def inspection(disk_format: str, container_format: str) -> Inspector:
    """What inspects data of these formats: every file of an OVA, what gzip compressed, all else.

    Of gzip the first MiB is looked at: to inflate all of it could take any time. What is
    called an OVA or compressed and is no tar or gzip is inspected as it is.
    """
    whole = Inspection(disk_format, container_format)
    if container_format == "ova":
        return Opened(whole, Tar())
    if container_format == "compressed":
        return Opened(whole, Gzip())
    return whole


class Opened:
    """A container and what is in it."""

    def __init__(self, whole: Inspection, inside: Tar | Gzip) -> None:
        self._whole, self._inside = whole, inside

    def feed(self, block: bytes) -> None:
        """As of ``Inspector``."""
        self._whole.feed(block)
        self._inside.feed(block)

    def verdict(self) -> int | None:
        """As of ``Inspector``."""
        self._inside.finish()
        return self._whole.verdict()


class Tar:
    """The files of a tar archive (ustar, pax, GNU), one behind the other.

    What readers of tar do not agree upon is refused: another one might find other files.
    """

    def __init__(self) -> None:
        self._over = False
        self._files = 0
        self._block = bytearray()  # of a header
        self._left = self._padding = 0  # bytes of data, and behind it
        self._file: Inspection | None = None
        self._records: bytearray | None = None  # the data of an extended header
        self._size: int | None = (
            None  # bytes of the next file, if an extended header says
        )

    def feed(self, block: bytes) -> None:
        """Look at the next block of the archive; ContentRefused."""
        at = 0
        while at < len(block) and not self._over:
            if self._left:
                piece = block[at : at + self._left]
                self._left -= len(piece)
                self._data(piece)
            elif self._padding:
                piece = block[at : at + self._padding]
                self._padding -= len(piece)
            else:
                piece = block[at : at + tarfile.BLOCKSIZE - len(self._block)]
                self._block += piece
                if len(self._block) == tarfile.BLOCKSIZE:
                    self._header()
            at += len(piece)

    def finish(self) -> None:
        """ContentRefused when the archive ended within a file or a header."""
        if self._files and not self._over and (self._left or self._block):
            raise _refused("it ends in the middle of a file. Check that it is whole")

    def _data(self, piece: bytes) -> None:
        if self._records is not None:
            self._records += piece
        if self._file is not None:
            self._file.feed(piece)
        if not self._left:
            self._end()

    def _end(self) -> None:
        if self._records is not None:
            self._obey(bytes(self._records))
        if self._file is not None:
            self._file.verdict()
        self._records = self._file = None

    def _header(self) -> None:
        block = bytes(self._block)
        self._block.clear()
        if not any(block):
            self._over = True
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            if self._files:
                raise _refused("a header in it is damaged. Pack it again") from error
            self._over = True  # no tar at all
        else:
            self._begin(header)

    def _begin(self, header: tarfile.TarInfo) -> None:
        self._files += 1
        if self._files > MOST_FILES:
            raise _refused(
                f"it has more than {MOST_FILES} files. Pack only what it needs"
            )
        size = header.size
        if header.type == tarfile.XHDTYPE:
            self._records = bytearray()
        elif header.type not in NAMES:
            size = header.size if self._size is None else self._size
            self._size = None
            if header.type in PLAIN:
                self._file = Inspection(*INSIDE)
            elif size or header.type not in WITHOUT_DATA:
                raise _refused("it has more than plain files. Pack it without --sparse")
        if size < 0 or (self._records is not None and size > LONGEST_HEADER):
            raise _refused("a header in it gives an impossible size. Pack it again")
        self._left, self._padding = size, -size % tarfile.BLOCKSIZE
        if not size:
            self._end()

    def _obey(self, records: bytes) -> None:
        """What pax says about the next file: only its size matters (POSIX.1-2017, pax)."""
        at = 0
        while at < len(records):
            name, value, at = _record(records, at)
            if name.startswith(b"GNU.sparse"):
                raise _refused("it has sparse files. Pack it without --sparse")
            if name == b"size":
                self._size = int(value) if re.fullmatch(rb"[0-9]{1,18}", value) else -1


def _record(records: bytes, at: int) -> tuple[bytes, bytes, int]:
    """Name, value and end of the record of an extended header that is there."""
    length = RECORD.match(records, at)
    end = at + int(length[1]) if length else 0
    if not length or records[end - 1 : end] != b"\n":
        raise _refused("a header in it is damaged. Pack it again")
    name, _, value = records[length.end() : end - 1].partition(b"=")
    return name, value, end


class Gzip:
    """The first MiB of what gzip (RFC 1952) compressed."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self._begin = b""  # of the part that is being read
        self._parts = 1
        self._data = Inspection(*INSIDE)
        self._left = HEAD  # bytes that are still to be seen
        self._over = False

    def feed(self, block: bytes) -> None:
        """Look at the next block of the file; ContentRefused."""
        while block and not self._over:
            self._begin += block[: len(GZIP) - len(self._begin)]
            try:
                piece = self._inflate.decompress(block, self._left)
            except zlib.error as error:
                # Behind the last part there may be anything, as for gunzip.
                if self._begin == GZIP:
                    raise _refused("it is damaged. Check that it is whole") from error
                piece, self._over = b"", True
            self._data.feed(piece)
            self._left -= len(piece)
            self._over = self._over or not self._left
            block = self._next_part()

    def finish(self) -> None:
        """ContentRefused."""
        if self._left:  # it was less than a MiB
            self._data.verdict()

    def _next_part(self) -> bytes:
        rest = self._inflate.unused_data
        if self._inflate.eof:
            self._inflate, self._begin = zlib.decompressobj(wbits=31), b""
            self._parts += 1
            if self._parts > MOST_PARTS:
                raise _refused("it has too many parts. Compress it at once")
        return rest


def _refused(why: str) -> ContentRefused:
    return ContentRefused(f"Image failed safety checks: of its container, {why}.")
