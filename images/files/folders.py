"""A search for the images to import: a single file, a URL, or the images in a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from images import errors
from images.files import guesses, sidecar
from images.files.sources import (
    SCHEMES,
    Source,
    file_source,
    kind_of,
    open_url,
    reason_of,
)
from images.formats import detection
from images.stores.writeback import PART


@dataclass(frozen=True)
class Skipped:
    """A path that is not imported.

    ``reason`` says why, for the operator. ``failed`` is true if the path could not be read, and
    false if it is no image. ``label`` is the path.
    """

    label: str
    reason: str
    failed: bool = False


def find(text: str, *, recursive: bool = False) -> Iterator[Source | Skipped]:
    """Yield a Source for each image at a path or URL, and a Skipped for each path that is not imported.

    ``text`` is the path of a file or folder, or a URL. With ``recursive`` the subfolders of a
    folder are searched, too. The given path can be a symbolic link; links inside folders are not
    followed, and sidecars are left out. Nothing checks a URL before it is opened.
    """
    if text.lower().startswith(SCHEMES):
        name = unquote(urlsplit(text).path.rpartition("/")[2])
        yield Source(_without_query(text), name, partial(open_url, text))
    elif os.path.isdir(text):
        yield from _in_folder(Path(text), recursive)
    else:
        yield file_source(Path(text), follow=True)


def _without_query(url: str) -> str:
    # Signed URLs carry a credential in the query, and the label is logged.
    return url.partition("?")[0].partition("#")[0]


def _in_folder(top: Path, recursive: bool) -> Iterator[Source | Skipped]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                sorted_entries = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Skipped(str(folder), reason_of(error), failed=True)
            continue
        inner = []
        for entry in sorted_entries:
            if recursive and entry.is_dir(follow_symlinks=False):
                inner.append(folder / entry.name)
            elif item := _entry(folder / entry.name):
                yield item
        waiting += reversed(inner)


def _entry(path: Path) -> Source | Skipped | None:
    """Return the source for a file in a folder, or a Skipped with the reason to skip the file.

    Returns None for a sidecar.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        return Skipped(str(path), reason_of(error), failed=True)
    if not stat.S_ISREG(mode):
        return Skipped(str(path), f"it is {kind_of(mode)}")
    if path.suffix == sidecar.SUFFIX and os.path.lexists(path.with_suffix("")):
        return None
    if path.name.startswith(".") or path.suffix == PART:
        return Skipped(str(path), "it is hidden or incomplete")
    source = file_source(path, follow=False)
    if guesses.has_extension(path.name) or os.path.lexists(sidecar.beside(path)):
        return source
    try:
        with source.open() as opened:
            head = next(opened.blocks, b"")
    except errors.ImageError as error:
        return Skipped(str(path), str(error), failed=True)
    if detection.disk_format_of(head):
        return source
    return Skipped(str(path), "it does not look like an image; name it to import it")
