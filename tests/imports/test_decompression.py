"""Decompression of data that is imported: right bytes, or a refusal, in constant memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator

import pytest

from images.errors import ContentRefused
from images.imports.decompression import decompressed
from tests.zips import zipped

MIB = 1 << 20
DATA = os.urandom(MIB) + bytes(2 * MIB) + b"the end"


class Pipe(io.RawIOBase):
    """A file that cannot go back, so that sizes follow the data."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, block: bytes) -> int:  # type: ignore[override]
        self.content += block
        return len(block)


def zipped_to_a_pipe(data: bytes) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        archive.writestr("disk", data)
    return bytes(pipe.content)


def large_zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
        archive.open("disk", "w", force_zip64=True) as member,
    ):
        member.write(data)
    return file.getvalue()


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip of two parts": lambda it: gzip.compress(it[:99]) + gzip.compress(it[99:]),
    "gzip with zeros behind it": lambda it: gzip.compress(it) + bytes(1024),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "stored zip": lambda it: zipped(it, zipfile.ZIP_STORED),
    "zip from a pipe": zipped_to_a_pipe,
    "large zip": large_zip,
}


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [7919, MIB, 1 << 30])
@pytest.mark.parametrize("kind", COMPRESSED)
def test_what_was_compressed_comes_out(kind: str, size: int) -> None:
    compressed = COMPRESSED[kind](DATA)

    assert b"".join(decompressed(cut(compressed, size))) == DATA


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zip", "zip from a pipe"])
def test_the_size_of_blocks_does_not_matter(kind: str) -> None:
    compressed = COMPRESSED[kind](b"few bytes")

    assert b"".join(decompressed(cut(compressed, 1))) == b"few bytes"


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f", b"QFI\xfb", DATA])
def test_what_is_not_compressed_stays_as_it_is(data: bytes) -> None:
    assert b"".join(decompressed(cut(data, 999))) == data


@pytest.mark.parametrize("kind", COMPRESSED)
def test_data_of_no_bytes_comes_out(kind: str) -> None:
    assert b"".join(decompressed([COMPRESSED[kind](b"")])) == b""


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_what_is_cut_off_is_refused(kind: str) -> None:
    compressed = COMPRESSED[kind](b"the bytes of an image")

    for length in range(16, len(compressed)):
        with pytest.raises(ContentRefused):
            list(decompressed([compressed[:length]]))


@pytest.mark.parametrize("kind", ["zip", "stored zip", "zip from a pipe", "large zip"])
def test_a_zip_file_without_its_directory_is_refused(kind: str) -> None:
    compressed = COMPRESSED[kind](b"the bytes of an image")

    for length in range(16, compressed.index(b"PK\x05\x06")):
        with pytest.raises(ContentRefused):
            list(decompressed([compressed[:length]]))


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zip", "stored zip"])
def test_damaged_data_is_refused(kind: str) -> None:
    compressed = bytearray(COMPRESSED[kind](DATA))
    compressed[MIB // 2] ^= 1

    with pytest.raises(ContentRefused, match="damaged"):
        list(decompressed(cut(bytes(compressed), MIB)))


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_something_behind_the_data_is_refused(kind: str) -> None:
    with pytest.raises(ContentRefused, match="something else behind"):
        list(decompressed([COMPRESSED[kind](DATA) + b"more"]))


@pytest.mark.parametrize("names", [(), ("one", "two"), ("folder/", "folder/disk")])
def test_a_zip_file_must_have_one_file(names: tuple[str, ...]) -> None:
    with pytest.raises(ContentRefused, match="not exactly one file"):
        list(decompressed([zipped(b"data", names=names)]))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_file_of_another_method_is_refused(method: int) -> None:
    with pytest.raises(ContentRefused, match="unknown way"):
        list(decompressed([zipped(b"data", method)]))


def test_an_encrypted_zip_file_is_refused() -> None:
    content = bytearray(zipped(b"data"))
    content[6] |= 1

    with pytest.raises(ContentRefused, match="encrypted"):
        list(decompressed([bytes(content)]))


def test_only_one_compression_is_removed() -> None:
    inside = gzip.compress(b"data")

    assert b"".join(decompressed([gzip.compress(inside)])) == inside


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "zip"])
def test_a_bomb_is_as_small_in_memory_as_any_data(kind: str) -> None:
    bomb, received = COMPRESSED[kind](bytes(64 * MIB)), 0
    tracemalloc.start()
    try:
        for block in decompressed(cut(bomb, 64 << 10)):
            received += len(block)
            assert len(block) <= MIB
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert received == 64 * MIB
    assert most < 16 * MIB


def test_a_reader_that_stops_early_leaves_the_rest_packed() -> None:
    taken = []

    def blocks() -> Iterator[bytes]:
        for block in cut(gzip.compress(os.urandom(8 * MIB)), 64 << 10):
            taken.append(len(block))
            yield block

    next(decompressed(blocks()))

    assert sum(taken) < 3 * MIB


def test_many_small_parts_are_refused() -> None:
    with pytest.raises(ContentRefused, match="too many parts"):
        list(decompressed([gzip.compress(b"") * 1000]))


def test_sizes_that_lie_are_refused() -> None:
    content = zipped(b"data", zipfile.ZIP_STORED)
    longer = content[:18] + struct.pack("<LL", 1 << 31, 1 << 31) + content[26:]

    with pytest.raises(ContentRefused):
        list(decompressed([longer]))
    assert zlib.crc32(b"data") == struct.unpack("<L", content[14:18])[0]
