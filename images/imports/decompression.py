"""Decompression of an image's data while it streams: gzip, bzip2, xz, and zip with one file.

Memory is constant. The reader limits the size of the data: the caps and quotas of an image
count the decompressed bytes.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Generator, Iterable, Iterator

from images.formats.compressed import (
    DECODERS,
    MOST_PARTS,
    OPENED,
    STEP,
    Decoder,
    compression_of,
)
from images.formats.verdicts import refused
from images.imports import zip_format
from images.imports.zip_format import LocalHeader

BEGIN = 16  # bytes by which the compression is recognised


class Source:
    """A stream of compressed data in which the reader can look ahead, and push bytes back."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._ahead = b""

    def peek(self, count: int) -> bytes:
        """Return the next ``count`` bytes, or fewer at the end, without consuming them."""
        while len(self._ahead) < count and (block := next(self._blocks, b"")):
            self._ahead += block
        return self._ahead[:count]

    def read(self, most: int = STEP) -> bytes:
        """Return at least one byte and at most ``most`` bytes; empty at the end."""
        self.peek(1)
        block, self._ahead = self._ahead[:most], self._ahead[most:]
        return block

    def give_back(self, rest: bytes) -> None:
        """Push unused bytes back, so that the next read returns them first."""
        self._ahead = rest + self._ahead

    def skip_zeros(self) -> None:
        """Skip zero bytes: tapes and block devices are filled up with zeros after the data."""
        while block := self.read():
            if rest := block.lstrip(b"\0"):
                self.give_back(rest)
                return


def decompressed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield data after decompressing it once; yield data that is not compressed unchanged.

    Raises ContentRefused for data that is damaged, cut off or followed by other data, and for a
    zip file that does not have exactly one file; and the errors of the blocks.
    """
    source = Source(blocks)
    method = compression_of(source.peek(BEGIN))
    if method == "zip":
        return _unzipped(source)
    if method in DECODERS:
        return _parts(source, method)
    return iter(source.read, b"")


def _parts(source: Source, method: str) -> Iterator[bytes]:
    """Decompress data by ``method`` and yield it; it can consist of several compressed parts."""
    magics = OPENED[method]
    for _ in range(MOST_PARTS):
        yield from _inflated(source, DECODERS[method](), method)
        source.skip_zeros()
        if not (begin := source.peek(len(magics[0]))):
            return
        if not begin.startswith(magics):
            raise refused(
                "compression", f"There is something else behind its {method} data"
            )
    raise refused("compression", f"Its {method} data has too many parts")


def _inflated(
    source: Source, decoder: Decoder, method: str
) -> Generator[bytes, None, None]:
    block = b""
    while not decoder.eof:
        if decoder.needs_input and not (block := source.read()):
            raise refused("compression_cut_off", f"Its {method} data ends too early")
        try:
            data = decoder.decompress(block, STEP)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise refused(
                "compression", f"Its {method} data is damaged: {error}"
            ) from error
        block = b""
        if data:
            yield data
    source.give_back(decoder.unused_data)


def _unzipped(source: Source) -> Iterator[bytes]:
    header = zip_format.local_header(source)
    checksum = size = 0
    for block in _member(source, header):
        checksum, size = zlib.crc32(block, checksum), size + len(block)
        yield block
    zip_format.check_end(source, header, checksum, size)


def _member(source: Source, header: LocalHeader) -> Iterator[bytes]:
    if header.is_deflated:
        yield from _inflated(source, zip_format.inflate(), "zip")
        return
    left = header.size
    while left:
        block = source.read(min(STEP, left))
        if not block:
            raise zip_format.cut_off()
        left -= len(block)
        yield block
