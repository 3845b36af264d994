"""Sources of imports, opened as blocks of bytes: regular files and URLs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from images import errors, stores
from images.files import sidecar

BLOCK = 1 << 20  # bytes; the first block is enough to recognize a format
SCHEMES = ("http://", "https://")

# Disk format by file suffix; no suffix says a container format other than bare.
EXTENSIONS = {
    "aki": "aki",
    "ami": "ami",
    "ari": "ari",
    "img": "raw",
    "iso": "iso",
    "ploop": "ploop",
    "qcow2": "qcow2",
    "raw": "raw",
    "vdi": "vdi",
    "vhd": "vhd",
    "vhdx": "vhdx",
    "vmdk": "vmdk",
    "vpc": "vhd",
}


@dataclass(frozen=True)
class Opened:
    """The bytes of an open source, readable once, in blocks of at most 1 MiB."""

    size: int | None  # bytes; None if unknown before the end of the stream
    blocks: Iterator[bytes]


@dataclass(frozen=True)
class Source:
    """A file or URL with the data of one image; each ``open`` reads it from the beginning."""

    label: str  # as the operator named it
    file_name: str
    open: Callable[[], AbstractContextManager[Opened]]
    sidecar: Path | None = None

    @property
    def extension(self) -> str:
        """The suffix of the file name in lower case, without the dot."""
        return self.file_name.rpartition(".")[2].lower()


def file_source(path: Path, *, follow: bool) -> Source:
    """Return a file as a source; ``follow`` allows the path itself to be a link."""
    open_file = partial(_open_file, path, follow=follow)
    return Source(str(path), path.name, open_file, sidecar.beside(path))


@contextmanager
def _open_file(path: Path, *, follow: bool) -> Iterator[Opened]:
    # NONBLOCK: opening a FIFO would otherwise wait for a writer before it can be checked.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise errors.Invalid(
            f"The file cannot be opened: {reason_of(error)}."
        ) from error
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise errors.Invalid(
                f"The source is {kind_of(status.st_mode)}, and only regular files are imported. "
                "Copy it into a file first."
            )
        with suppress(OSError):
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        yield Opened(status.st_size, _blocks(file))
    finally:
        os.close(file)


def _blocks(file: int) -> Generator[bytes, None, None]:
    while True:
        try:
            block = os.read(file, BLOCK)
        except OSError as error:
            raise errors.BodyIncomplete(
                f"The file cannot be read to its end: {reason_of(error)}."
            ) from error
        if not block:
            return
        yield block


@contextmanager
def open_url(url: str) -> Iterator[Opened]:
    """Open the data at a URL as blocks of bytes, within a context.

    Raises Invalid for a URL that the URL filter refuses, StoreError if the web server fails.
    """
    web = stores.get("http")
    size = None
    with suppress(errors.StoreError):
        size = web.size(url)
    blocks: Iterator[bytes] = web.open(url)
    with closing(blocks):  # type: ignore[type-var]
        yield Opened(size, blocks)


def kind_of(mode: int) -> str:
    """Return what a file with this mode (``st_mode``) is, with an article: "a folder"."""
    kinds = {
        stat.S_ISLNK: "a symbolic link",
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a FIFO",
        stat.S_ISSOCK: "a socket",
    }
    return next((kind for test, kind in kinds.items() if test(mode)), "a device")


def reason_of(error: Exception) -> str:
    """Return the reason of an error, without the path that the error is about."""
    return getattr(error, "strerror", None) or str(error)
