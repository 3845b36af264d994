"""Parsing of a zip file that contains one file, while it streams (APPNOTE 6.3.10)."""

from __future__ import annotations

import struct
from typing import NamedTuple, Protocol

from images import errors
from images.formats.compressed import Decoder, Inflate
from images.formats.verdicts import refused

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", (b"PK\x05\x06", b"PK\x06\x06")
DESCRIPTOR = b"PK\x07\x08"
ENCRYPTED, HAS_DESCRIPTOR = 1, 8  # bits of the flags
STORED, DEFLATED = 0, 8
LARGE = 0xFFFFFFFF  # the size is in the extra field
ZIP64 = 1
# Lengths of a data descriptor, with and without its signature, and with sizes of 8 bytes.
DESCRIPTORS = ((16, True), (24, True), (12, False), (20, False))
_LOCAL = struct.Struct("<4s2xHH4xLLLHH")
_CENTRAL = struct.Struct("<28xHHH12x")
_EXTRA = struct.Struct("<HH")


class Bytes(Protocol):
    """The interface of the stream of bytes from which the headers of a zip file are read."""

    def peek(self, count: int) -> bytes:
        """Return the next ``count`` bytes, or fewer at the end, without consuming them."""

    def read(self, most: int) -> bytes:
        """Return at least one byte and at most ``most`` bytes; empty at the end."""


class LocalHeader(NamedTuple):
    """The header that precedes a file in a zip file."""

    is_deflated: bool
    has_descriptor: bool  # the CRC-32 follows the file, and is not in this header
    checksum: int  # CRC-32
    size: int  # bytes, compressed


def local_header(source: Bytes) -> LocalHeader:
    """Read and return the header of the first file in a zip file.

    Raises ContentRefused if the file is encrypted, compressed in an unknown way, or malformed.
    """
    if not source.peek(4).startswith(LOCAL):
        raise _not_one_file()
    fields = _LOCAL.unpack(_exactly(source, _LOCAL.size))
    _, flags, method, checksum, size, _, name_length, extra_length = fields
    _exactly(source, name_length)
    extra = _exactly(source, extra_length)
    has_descriptor = bool(flags & HAS_DESCRIPTOR)
    if flags & ENCRYPTED:
        raise refused("compression", "Its zip data is encrypted")
    # The end of an uncompressed file is known only by a size before it.
    if method != DEFLATED and (method != STORED or has_descriptor):
        raise refused("compression", "Its zip data is compressed in an unknown way")
    if size == LARGE:
        size = _large_size(extra)
    return LocalHeader(method == DEFLATED, has_descriptor, checksum, size)


def inflate() -> Decoder:
    """Return a decompressor for a file in a zip file that is compressed with Deflate."""
    return Inflate(-15)


def check_end(source: Bytes, header: LocalHeader, checksum: int, size: int) -> None:
    """Read the end of a zip file after the data of its only file, and check it.

    ``checksum`` is the CRC-32 of the data that was read, and ``size`` its size in bytes, which
    only the error message needs. Raises ContentRefused if the zip file states another CRC-32,
    or has a second file.
    """
    expected = header.checksum
    if header.has_descriptor:
        expected = _described_checksum(source)
    if expected != checksum:
        raise refused("compression", f"Its zip data is damaged: {size} bytes are wrong")
    if source.peek(4) != CENTRAL:
        raise _not_one_file()
    lengths = _CENTRAL.unpack(_exactly(source, _CENTRAL.size))
    _exactly(source, sum(lengths))
    if not source.peek(4).startswith(END):
        raise _not_one_file()


def cut_off() -> errors.ContentRefused:
    """Return the error for a zip file that ends too early."""
    return refused("compression_cut_off", "Its zip data ends too early")


def _described_checksum(source: Bytes) -> int:
    ahead = source.peek(28)
    for length, is_signed in DESCRIPTORS:
        follows = ahead[length : length + 4]
        if follows in (CENTRAL, LOCAL) and ahead.startswith(DESCRIPTOR) == is_signed:
            descriptor = _exactly(source, length)
            start = len(DESCRIPTOR) if is_signed else 0
            return int.from_bytes(descriptor[start : start + 4], "little")
    raise cut_off()


def _large_size(extra: bytes) -> int:
    while len(extra) >= _EXTRA.size:
        kind, length = _EXTRA.unpack_from(extra)
        content, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == ZIP64 and len(content) >= 16:
            return int.from_bytes(content[8:16], "little")
    raise refused("compression", "Its zip data has no size")


def _exactly(source: Bytes, count: int) -> bytes:
    content = b""
    while len(content) < count:
        block = source.read(count - len(content))
        if not block:
            raise cut_off()
        content += block
    return content


def _not_one_file() -> errors.ContentRefused:
    return refused("compression", "Its zip data has not exactly one file")
