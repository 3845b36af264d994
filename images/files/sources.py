"""Sources of imports: regular files, folders of regular files, and URLs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from images import errors, formats, stores
from images.files import sidecar
from images.stores.writeback import PART

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
    """The source of one image. ``open`` can be called repeatedly."""

    label: str  # as the operator named it
    file_name: str
    open: Callable[[], AbstractContextManager[Opened]]
    sidecar: Path | None = None

    @property
    def extension(self) -> str:
        """The suffix of the file name in lower case, without the dot."""
        return self.file_name.rpartition(".")[2].lower()


@dataclass(frozen=True)
class Skipped:
    """An entry that is not imported: it is not an image, or (``failed``) could not be read."""

    label: str
    reason: str
    failed: bool = False


def find(text: str, *, recursive: bool = False) -> Iterator[Source | Skipped]:
    """Yield the sources at the path of a file or folder, or at a URL.

    The path itself can be a symbolic link; links inside folders are not followed. A URL is
    checked by the URL filter only when it is opened.
    """
    if text.lower().startswith(SCHEMES):
        name = unquote(urlsplit(text).path.rpartition("/")[2])
        yield Source(_without_query(text), name, partial(_open_url, text))
    elif os.path.isdir(text):
        yield from _in_folder(Path(text), recursive)
    else:
        yield _file(Path(text), follow=True)


def _without_query(url: str) -> str:
    # Signed URLs carry a credential in the query, and the label is logged.
    return url.partition("?")[0].partition("#")[0]


def _file(path: Path, *, follow: bool) -> Source:
    open_file = partial(_open_file, path, follow=follow)
    return Source(str(path), path.name, open_file, sidecar.beside(path))


def _in_folder(top: Path, recursive: bool) -> Iterator[Source | Skipped]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                sorted_entries = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Skipped(str(folder), _why(error), failed=True)
            continue
        inner = []
        for entry in sorted_entries:
            if recursive and entry.is_dir(follow_symlinks=False):
                inner.append(folder / entry.name)
            elif item := _entry(folder / entry.name):
                yield item
        waiting += reversed(inner)


def _entry(path: Path) -> Source | Skipped | None:
    """Return the source or skipped entry for a path; None for the sidecar of another file."""
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        return Skipped(str(path), _why(error), failed=True)
    if not stat.S_ISREG(mode):
        return Skipped(str(path), f"it is {_kind(mode)}")
    if path.suffix == sidecar.SUFFIX and os.path.lexists(path.with_suffix("")):
        return None
    if path.name.startswith(".") or path.suffix == PART:
        return Skipped(str(path), "it is hidden or incomplete")
    source = _file(path, follow=False)
    if source.extension in EXTENSIONS or os.path.lexists(sidecar.beside(path)):
        return source
    try:
        with source.open() as opened:
            head = next(opened.blocks, b"")
    except errors.ImageError as error:
        return Skipped(str(path), str(error), failed=True)
    if formats.disk_format_of(head):
        return source
    return Skipped(str(path), "it does not look like an image; name it to import it")


@contextmanager
def _open_file(path: Path, *, follow: bool) -> Iterator[Opened]:
    # NONBLOCK: opening a FIFO would otherwise wait for a writer before it can be checked.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise errors.Invalid(f"The file cannot be opened: {_why(error)}.") from error
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise errors.Invalid(
                f"The source is {_kind(status.st_mode)}, and only regular files are imported. "
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
                f"The file cannot be read to its end: {_why(error)}."
            ) from error
        if not block:
            return
        yield block


@contextmanager
def _open_url(url: str) -> Iterator[Opened]:
    web = stores.get("http")
    size = None
    with suppress(errors.StoreError):
        size = web.size(url)
    blocks: Iterator[bytes] = web.open(url)
    with closing(blocks):  # type: ignore[type-var]
        yield Opened(size, blocks)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISLNK: "a symbolic link",
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a FIFO",
        stat.S_ISSOCK: "a socket",
    }
    return next((kind for test, kind in kinds.items() if test(mode)), "a device")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
