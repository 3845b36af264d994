"""The creation of a backup while the service works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from images import db
from images.backups import (
    BackupError,
    folders,
    manifests,
    objects,
    postgresql,
    sqlite,
)
from images.backups.contents import NeededObject, needed_objects, opened_sqlite
from images.backups.manifests import Manifest

SECRET_KEY: Final = "secret-key"

Through = Callable[[Iterable[NeededObject]], Iterable[NeededObject]]


def create(parent: Path, copied: Through | None = None) -> Path:
    """Make a backup in the folder ``parent`` and return the backup's own folder.

    The backup has the database of one moment and the secret key of the data folder. With
    ``copied`` it also has the objects: this function gets them and yields each of them, and can
    report progress. Raises BackupError if there is no catalogue, or if the backup fails.
    """
    if not db.exists():
        raise BackupError("There is no catalogue yet: `serve` or `migrate` makes one.")
    earlier = folders.existing(parent)
    previous = next(filter(objects.are_in, reversed(earlier)), None)
    return folders.create(parent, partial(_fill, previous, copied))


def _fill(previous: Path | None, copied: Through | None, folder: Path) -> None:
    created_at = timezone.now().astimezone(UTC).isoformat(timespec="seconds")
    is_sqlite = connection.vendor == "sqlite"
    facts = sqlite.dump(folder) if is_sqlite else postgresql.dump(folder)
    _copy_secret_key(folder)
    files = manifests.of_files(folder)
    counts = None
    if copied is not None:
        # After the database, so that the objects of all its images are there already.
        counts = objects.copy_all(copied(_needed(folder)), folder, previous)
    version = str(settings.IMAGECATALOG_VERSION)
    manifest = Manifest(version, created_at, connection.vendor, facts, files, counts)
    manifests.write(folder, manifest)


def _copy_secret_key(folder: Path) -> None:
    """Copy the file of the secret key into the folder of a backup, if the service uses this file.

    A key in the environment is not copied: the operator keeps it elsewhere.
    """
    path = settings.IMAGECATALOG_DATA_DIR / SECRET_KEY
    if settings.IMAGECATALOG_SECRET_KEY or not path.exists():
        return
    with open(folders.create_file(folder / SECRET_KEY), "w") as file:
        file.write(path.read_text())


def _needed(folder: Path) -> Iterator[NeededObject]:
    if connection.vendor == "postgresql":
        yield from needed_objects(connection)
        return
    # From the copy: while a list of the database itself is read, its log would grow.
    with opened_sqlite(str(folder / sqlite.FILE)) as database:
        yield from needed_objects(database)
