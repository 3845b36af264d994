"""Access to backups in folders (by a path) and in object stores (by a URL)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from django.core.exceptions import ImproperlyConfigured

from images.backups import BackupError
from images.backups.backup import NAME, Backup, Place
from images.backups.buckets import BucketOfBackups
from images.backups.folders import FolderOfBackups
from images.stores import config

STORE: Final = "backups"


def is_url(text: str) -> bool:
    """Return whether a text is the URL of an object store, not the path of a folder."""
    return "://" in text


def of(text: str) -> Place:
    """Return the folder or bucket with backups that ``text`` names by its path or URL.

    A URL has the same form as in IMAGECATALOG_STORES. Raises BackupError if the URL is wrong.
    """
    if not is_url(text):
        return FolderOfBackups(Path(text).absolute())
    try:
        store = config.object_store(STORE, text, "The URL of the backups")
    except ImproperlyConfigured as error:
        raise BackupError(str(error)) from error
    return BucketOfBackups(text, store)


@contextmanager
def opened(text: str) -> Iterator[Backup]:
    """A context manager that opens the backup at a path or URL for reading, and yields it.

    Raises BackupError if there is no such backup in an object store; a folder is not checked.
    """
    if not is_url(text):
        path = Path(text).absolute()
        parent, name = str(path.parent), path.name
    else:
        parts = urlsplit(text)
        above, _, name = parts.path.rstrip("/").rpartition("/")
        parent = urlunsplit(parts._replace(path=above))
        if not NAME.fullmatch(name):
            raise BackupError(
                f"{text} is not a backup: its path does not end with the time of one, such as "
                "2026-11-29T12-20-53.429717Z. Name a URL that `backup` has printed."
            )
    with of(parent).opened(name) as backup:
        yield backup
