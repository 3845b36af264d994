"""Inspection of the files in a tar archive while it streams."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable

from images.errors import ContentRefused
from images.formats.compressed import Inside
from images.formats.verdicts import refused

BLOCK = tarfile.BLOCKSIZE

MOST_FILES = 1000  # of an OVA, which has a description, disks and their checksums
MOST_RECORDS = 1 << 20  # bytes of all extended headers
PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE)
OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
RECORD = re.compile(rb"([1-9][0-9]{0,8}) ")


class Tar:
    """The inspector of a tar archive (ustar, pax, GNU), which inspects its files in their order.

    Archives that tar readers interpret differently are refused, because other readers might find
    other files. ``inside`` is a function that returns an inspector for a file, given the file's
    name.
    """

    settled = False

    def __init__(self, inside: Callable[[str], Inside]) -> None:
        self._inside = inside
        self._over = False
        self._files = 0
        self._block = bytearray()  # the current header
        self._left = self._padding = 0  # bytes of the current file, and of its padding
        self._file: Inside | None = None
        self._records: bytearray | None = None  # the data of an extended header
        self._extension = b""  # the type of that header
        self._room = MOST_RECORDS
        self._size: int | None = None  # bytes of the next file, from an extended header
        self._name: bytes | None = None  # likewise

    def feed(self, block: bytes) -> None:
        """Inspect the next block of the archive.

        Raises ContentRefused for a damaged or ambiguous archive, or if a file in it is unsafe.
        """
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
                data = block[at : at + BLOCK - len(self._block)]
                self._block += data
                if len(self._block) == BLOCK:
                    self._header(bytes(self._block))
                    self._block.clear()
            at += len(data)
        if self._over and block[at:].strip(b"\0"):
            raise _refused("there is data behind its end", "archive_trailing_data")

    def verdict(self) -> None:
        """End the inspection.

        Raises ContentRefused if the archive ends within a file, or between an extended header and
        its file.
        """
        if not self._over and (self._left or self._block or self._is_extended()):
            raise _refused("it ends in the middle of a file", "archive_cut_off")

    def _is_extended(self) -> bool:
        return self._size is not None or self._name is not None

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
        """Keep the name and the size that an extended header states for the file after it.

        ``records`` is the data of the extended header. Raises ContentRefused if it applies to all
        files.
        """
        if self._extension == tarfile.GNUTYPE_LONGNAME:
            self._name = records.partition(b"\0")[0]
        if self._extension not in EXTENDED:
            return
        values = _values_in(records)
        if not values:
            return
        if self._extension == tarfile.XGLTYPE:
            raise _refused("a header in it is about all files")
        if b"size" in values:
            self._size = int(values[b"size"])
        self._name = values.get(b"path", self._name)

    def _header(self, block: bytes) -> None:
        if not any(block):
            self._over = True
            return
        self._files += 1
        if self._files > MOST_FILES:
            raise _refused(f"it has more than {MOST_FILES} files", "archive_files")
        kind, size = _kind(block), _number(block[124:136])
        if kind in (*EXTENDED, *NAMES):
            self._begin_records(kind, size)
        else:
            size = size if self._size is None else self._size
            name = _name(block) if self._name is None else self._name
            self._size = self._name = None
            self._begin_file(kind, size, name)
        self._left, self._padding = size, -size % BLOCK
        if not size:
            self._end()

    def _begin_records(self, kind: bytes, size: int) -> None:
        self._records, self._extension = bytearray(), kind
        self._room -= size
        if self._room < 0:
            raise _refused("its headers are too long")

    def _begin_file(self, kind: bytes, size: int, name: bytes) -> None:
        shown = name[:200].decode("utf-8", "replace")
        if name.startswith((b"/", b"\\")) or b".." in re.split(rb"[/\\]", name):
            raise _refused(f"it has the name {shown!r}, which leads out of it", "archive_files")  # fmt: skip
        if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
            raise _refused(f"{shown!r} is a link, not one of the plain files", "archive_files")  # fmt: skip
        if kind in PLAIN:
            self._file = self._inside(name.decode("utf-8", "replace"))
        elif size or kind != tarfile.DIRTYPE:
            raise _refused(
                f"{shown!r} is of type {kind.decode('latin-1')!r}, not one of the plain files",
                "archive_files",
            )


def is_tar(block: bytes) -> bool:
    """Return whether any tar reader can accept data that begins with this block."""
    checksum = re.search(rb"[0-7]+", block[148:156])
    return len(block) >= BLOCK and (
        block[257:262] == b"ustar"
        or bool(checksum and int(checksum[0], 8) == _sum(block[:BLOCK]))
    )


def _sum(block: bytes) -> int:
    """Return the checksum of a header; the field for the checksum itself counts as blanks."""
    return sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


def _kind(block: bytes) -> bytes:
    """Return the type of a file from its header ``block``: one byte, as in the module tarfile.

    Raises ContentRefused unless all tar readers accept the header.
    """
    if _number(block[148:156]) != _sum(block):
        raise _refused("a header in it is damaged")
    kind = block[156:157]
    is_folder = block[:100].partition(b"\0")[0].endswith(b"/")
    return tarfile.DIRTYPE if kind in PLAIN and is_folder else kind


def _name(block: bytes) -> bytes:
    """Return the name of a file from its header ``block``."""
    name, prefix = (part.partition(b"\0")[0] for part in (block[:100], block[345:500]))
    is_posix = block[257:263] == b"ustar\0"  # GNU has times in place of the prefix
    return prefix + b"/" + name if prefix and is_posix else name


def _number(field: bytes) -> int:
    """Parse a number in a field of a header: octal digits, or GNU's base 256.

    Raises ContentRefused unless all tar readers can parse it.
    """
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    octal = OCTAL.fullmatch(field)
    if octal is None:
        raise _refused("a header in it is damaged")
    return int(octal[1], 8)


def _values_in(records: bytes) -> dict[bytes, bytes]:
    """Return the size and the name that an extended header (POSIX.1-2017, pax) states for a file.

    ``records`` is the data of the extended header. The keys are ``size`` and ``path``; a value that
    the header does not state is left out. Raises ContentRefused for a damaged header, or the header
    of a sparse file.
    """
    values, at = {}, 0
    while at < len(records):
        length = RECORD.match(records, at)
        end = at + int(length[1]) if length else 0
        if not length or records[end - 1 : end] != b"\n":
            raise _refused("a header in it is damaged")
        name, _, value = records[length.end() : end - 1].partition(b"=")
        if name.startswith(b"GNU.sparse"):
            raise _refused("it has sparse files", "archive_files")
        if name == b"size" and not re.fullmatch(rb"[0-9]{1,18}", value):
            raise _refused("a header in it is damaged")
        if name in (b"size", b"path"):
            values[name] = value
        at = end
    return values


def _refused(why: str, check: str = "archive") -> ContentRefused:
    return refused(check, f"Of its tar archive, {why}")
