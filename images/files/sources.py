"""The sources of imports, files and URLs, from which data is read in blocks of bytes."""

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


@dataclass(frozen=True)
class Opened:
    """An opened file or URL: its size, and its bytes in blocks of at most 1 MiB.

    The blocks can be read only once.
    """

    size: int | None  # bytes; None if unknown before the end of the stream
    blocks: Iterator[bytes]


@dataclass(frozen=True)
class Source:
    """A file or URL with the data of one image. Each ``open`` reads the data from its beginning."""

    label: str  # as the operator named it
    file_name: str
    open: Callable[[], AbstractContextManager[Opened]]
    sidecar: Path | None = None


def file_source(path: Path, *, follow: bool) -> Source:
    """Return the source for a regular file. The file is opened only by ``Source.open``.

    With ``follow``, the path can be a symbolic link.
    """
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
    """A context manager that opens the data at a URL, and yields it in blocks of bytes.

    Raises Invalid if the URL filter refuses the URL, StoreError if the web server fails.
    """
    web = stores.get("http")
    size = None
    with suppress(errors.StoreError):
        size = web.size(url)
    blocks: Iterator[bytes] = web.open(url)
    with closing(blocks):  # type: ignore[type-var]
        yield Opened(size, blocks)


def kind_of(mode: int) -> str:
    """Return the kind of a file that is not regular, as text with an article, such as "a folder".

    ``mode`` is the ``st_mode`` of the file.
    """
    kinds = {
        stat.S_ISLNK: "a symbolic link",
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a FIFO",
        stat.S_ISSOCK: "a socket",
    }
    return next((kind for test, kind in kinds.items() if test(mode)), "a device")


def reason_of(error: Exception) -> str:
    """Return the reason of an error as text, without the path of the file that some errors have."""
    return getattr(error, "strerror", None) or str(error)
