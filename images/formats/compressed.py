"""Inspection of compressed data while it streams: gzip, bzip2 and xz.

Other compressions are recognised, and refused with their names in the error. Examples are zstd, for
which Python needs a package before 3.14 and which no known consumer of images opens, and zip, whose
directory is at the end of the file, while a stream is inspected from its beginning.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Final, Protocol

from images.formats.verdicts import refused

STEP = 1 << 20  # bytes that are decompressed at once
MOST_PARTS = 100  # of one file
MOST_MEMORY = 80 << 20  # bytes; xz -9 needs 65 MiB
# Bytes of gzip in a whole image. They take about 5 seconds of a processor at most.
MOST_EXAMINED = 1 << 30
MOST_VERIFIED = 1 << 30
COST: Final = {"gzip": 1, "xz": 2, "bzip2": 32}  # of a byte, compared with gzip

# Beginnings of files (all but gzip and xz as in file's magic database).
OPENED: Final = {
    "gzip": (b"\x1f\x8b\x08",),
    "bzip2": tuple(b"BZh%d" % level for level in range(1, 10)),
    "xz": (b"\xfd7zXZ\x00",),
}
UNKNOWN: Final = {
    "zip": (b"PK\x03\x04", b"PK\x05\x06", b"PK00PK"),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes((n, 0x2A, 0x4D, 0x18)) for n in range(0x50, 0x60))),
    "lz4": (b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"),
    "lzip": (b"LZIP",),
    "lzop": (b"\x89LZO\x00\r\n\x1a\n",),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c",),
    "RAR": (b"Rar!\x1a\x07",),
    "cabinet": (b"MSCF\0\0\0\0",),
}  # fmt: skip
BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # what follows the level


def compression_of(begin: bytes) -> str | None:
    """Return the compression, such as ``gzip``, of data whose first bytes are ``begin``.

    Returns None if the data is not compressed.
    """
    for name, magics in (OPENED | UNKNOWN).items():
        if begin.startswith(magics) and (
            name != "bzip2" or begin[4:10] in BZIP2_BLOCKS
        ):
            return name
    return None


class Inside(Protocol):
    """The interface of an inspector of data that was decompressed, or of a file in an archive."""

    def feed(self, block: bytes) -> None:
        """Inspect the next block of the data. Raises ContentRefused if the data is unsafe."""

    @property
    def settled(self) -> bool:
        """Whether the result of the inspection is certain already, whatever data follows."""

    def verdict(self) -> int | None:
        """End the inspection; return the virtual size in bytes of the disk, or None if there is no disk.

        Raises ContentRefused if the data is unsafe.
        """


class Budget:
    """The amount of data that an inspection can still decompress.

    The unit is the cost of decompressing a byte of gzip; a byte of another compression costs more
    (COST). ``examined`` is for data of which it is uncertain whether it is accepted, ``verified``
    for finding out whether accepted data is complete.
    """

    def __init__(self) -> None:
        self.examined = MOST_EXAMINED
        self.verified = MOST_VERIFIED


class Decoder(Protocol):
    """The interface of a decompressor, as in Python's modules bz2 and lzma.

    A decompressor reads one part of a compressed file; a file can have several parts.
    """

    @property
    def eof(self) -> bool:
        """Whether the end of the current part of the compressed file was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether ``decompress`` needs more input before it can return more output."""

    @property
    def unused_data(self) -> bytes:
        """The bytes of the input that follow the end of the current part of the compressed file."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take the input ``data``, and return at most ``max_length`` bytes of decompressed output.

        Input that is not used yet is kept for later calls.
        """


class Inflate:
    """A decompressor of gzip (RFC 1952), with the interface ``Decoder``.

    With ``wbits`` -15 it reads deflate data without a header (RFC 1951), as in a zip file.
    """

    def __init__(self, wbits: int = 31) -> None:
        self._zlib = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether the end of the current part of the compressed file was reached."""
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        """The bytes of the input that follow the end of the current part of the compressed file."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take the input ``data``, and return at most ``max_length`` bytes of decompressed output.

        Input that is not used yet is kept for later calls.
        """
        output = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = not self._zlib.unconsumed_tail and len(output) < max_length
        return output


DECODERS: Final[dict[str, Callable[[], Decoder]]] = {
    "gzip": Inflate,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY),
}


class Compressed:
    """The inspector of compressed data: it decompresses the data and inspects the data inside.

    It decompresses until it is certain whether the data inside is accepted. After that it goes on
    as far as the budget allows, to find out whether the data is complete.
    """

    def __init__(self, method: str, inside: Inside, budget: Budget) -> None:
        self._method, self._inside, self._budget = method, inside, budget
        self._decoder = DECODERS[method]()
        self._begin = b""  # first bytes of the next part
        self._parts = 1
        self._between = False  # whether a part has ended and none has begun
        self._given_up = False  # whether the budget is used up

    def feed(self, block: bytes) -> None:
        """Inspect the next block of the compressed data.

        Raises ContentRefused if the compressed data is damaged, or if the data inside is
        unsafe.
        """
        while block and not self._given_up:
            if self._between:
                block = self._next_part(block)
            if not self._between:
                self._read(block)
                block = self._rest()

    def verdict(self) -> None:
        """End the inspection, after the last block.

        Raises ContentRefused if the compressed data is cut off, or if the data inside is
        unsafe.
        """
        if self._given_up:
            return
        if not self._between or self._begin:
            raise refused(
                "compression_cut_off", f"Its {self._method} data ends too early"
            )
        self._inside.verdict()

    @property
    def settled(self) -> bool:
        """Whether the result of the inspection is certain, except that the data can be cut off."""
        return self._inside.settled

    def _read(self, block: bytes) -> None:
        while not self._given_up:
            try:
                data = self._decoder.decompress(block, STEP)
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
                raise refused(
                    "compression", f"Its {self._method} data is damaged: {error}"
                ) from error
            self._pay(COST[self._method] * len(data))
            self._inside.feed(data)
            if self._decoder.eof or self._decoder.needs_input:
                return
            block = b""

    def _pay(self, cost: int) -> None:
        """Subtract the cost of decompressed data from the budget.

        When nothing is left, raises ContentRefused if it is still uncertain whether the data inside
        is accepted; otherwise the remaining data is not decompressed.
        """
        if self._inside.settled:
            self._budget.verified -= cost
            self._given_up = self._budget.verified < 0
            return
        self._budget.examined -= cost
        if self._budget.examined < 0:
            raise refused(
                "compression_limits",
                f"The disk in its {self._method} data is not recognised within"
                f" {MOST_EXAMINED // COST[self._method] >> 20} MiB",
            )

    def _rest(self) -> bytes:
        """Return the input that follows the current part; empty if that part has not ended yet."""
        if not self._decoder.eof:
            return b""
        self._between = True
        return self._decoder.unused_data

    def _next_part(self, block: bytes) -> bytes:
        """Begin the next part of the compressed data with ``block``; return the data of this part.

        Returns ``b""`` if too little has arrived to recognise a part. Skips zeros between parts.
        Raises ContentRefused for any other data between parts, and for too many parts.
        """
        data = (self._begin + block).lstrip(b"\0") if not self._begin else self._begin + block  # fmt: skip
        self._begin = data[:4]
        if not any(
            magic.startswith(data[: len(magic)]) for magic in OPENED[self._method]
        ):
            raise refused(
                "compression", f"There is something else behind its {self._method} data"
            )
        if len(data) < len(OPENED[self._method][0]):
            self._begin = data
            return b""
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise refused("compression", f"Its {self._method} data has too many parts")
        self._decoder, self._between, self._begin = DECODERS[self._method](), False, b""
        return data
