"""The creation of a backup while the service works."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from images import data_folder, db
from images.backups import BackupError, manifests, objects, postgresql, sqlite
from images.backups.backup import Backup, Copies, Place
from images.backups.contents import NeededObject
from images.backups.files import create_file
from images.backups.manifests import Manifest

# Passes the objects on unchanged, for example to report progress.
Through = Callable[[Iterable[NeededObject]], Iterable[NeededObject]]


def create(
    place: Place, copied: Through | None = None, *, afresh: bool = False
) -> tuple[str, Manifest]:
    """Make a backup in a folder or bucket; return its path or URL, and its manifest.

    The backup has the database of one moment and the secret key of the data folder. If the function
    ``copied`` is given, it also has copies of the stored objects: the function gets an iterable of
    the objects and returns one of the same objects, for example to report progress. With ``afresh``
    all objects are copied, also those of which an earlier backup has a copy. Raises BackupError if
    there is no catalogue, or if the backup fails.
    """
    if not db.exists():
        raise BackupError("There is no catalogue yet: `serve` or `migrate` makes one.")
    made: list[Manifest] = []

    def fill(draft: Backup, previous: Copies | None) -> None:
        made.append(_fill(draft, copied, None if afresh else previous))

    return place.create(fill), made[0]


def _fill(backup: Backup, copied: Through | None, previous: Copies | None) -> Manifest:
    folder = backup.folder
    created_at = timezone.now().astimezone(UTC).isoformat(timespec="seconds")
    is_sqlite = connection.vendor == "sqlite"
    facts = sqlite.dump(folder) if is_sqlite else postgresql.dump(folder)
    _copy_secret_key(folder)
    files = manifests.of_files(folder)
    counts = None
    if copied is not None:
        # After the database, so that the objects of all its images are there already.
        needed = sqlite.needed(folder) if is_sqlite else postgresql.needed(folder)
        counts = objects.copy_all(copied(needed), backup.copies, previous)
    version = str(settings.IMAGECATALOG_VERSION)
    manifest = Manifest(version, created_at, connection.vendor, facts, files, counts)
    manifests.write(folder, manifest)
    return manifest


def _copy_secret_key(folder: Path) -> None:
    """Copy the file with the secret key into the folder of a backup.

    Does nothing if the key is set in the environment: then the operator keeps it elsewhere.
    """
    path = settings.IMAGECATALOG_DATA_DIR / data_folder.KEY_FILE
    if settings.IMAGECATALOG_SECRET_KEY or not path.exists():
        return
    with open(create_file(folder / data_folder.KEY_FILE), "w") as file:
        file.write(path.read_text())
