"""The restore of a backup: the database, the secret key and, if the backup has them, the objects."""

from __future__ import annotations

import os
from datetime import UTC
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from images import data_folder, db
from images.backups import BackupError, objects, postgresql, sqlite
from images.backups.backup import Backup
from images.backups.contents import needed_objects
from images.backups.creation import Through
from images.backups.files import create_file
from images.backups.manifests import Manifest

TIME: Final = "%Y%m%dT%H%M%SZ"


def check_kind(manifest: Manifest) -> None:
    """Raise BackupError unless the database in the backup is of the service's kind, such as SQLite."""
    if manifest.database != connection.vendor:
        raise BackupError(
            f"The backup is of a {manifest.database} database, and DATABASE_URL names one of "
            f"{connection.vendor}. Name a database of the same kind."
        )


def is_occupied() -> bool:
    """Return whether the service's database has tables, such as those of a killed restore.

    True also for a SQLite file that cannot be read.
    """
    try:
        return db.exists() and bool(
            connection.introspection.django_table_names(only_existing=True)
        )
    except DatabaseError:
        if connection.vendor != "sqlite":
            raise
        return True


def restore_database(backup: Backup, manifest: Manifest, *, replace: bool) -> None:
    """Restore the service's database from a backup, and pause the background workers.

    With ``replace`` the present tables are kept under another name (with SQLite always). Raises
    BackupError if the database cannot be restored.
    """
    reason = f"The catalogue was restored from the backup of {manifest.created_at}."
    if manifest.database != "postgresql":
        sqlite.restore(backup.folder, reason, _suffix())
        return
    if replace:
        postgresql.replace(_suffix())
    postgresql.restore(backup.folder, reason)


def restore_secret_key(backup: Backup) -> bool:
    """Put the secret key of a backup into the data folder; return False if the backup has none.

    A different key in the data folder is kept under another name. If IMAGECATALOG_SECRET_KEY is
    set, nothing is done, and the result is True.
    """
    if settings.IMAGECATALOG_SECRET_KEY:
        return True
    copy = backup.folder / data_folder.KEY_FILE
    if not copy.exists():
        return False
    path, key = settings.IMAGECATALOG_DATA_DIR / data_folder.KEY_FILE, copy.read_text()
    if path.exists():
        if path.read_text() == key:
            return True
        path.rename(f"{path}.replaced-{_suffix()}")
    with open(create_file(path), "w") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return True


def restore_objects(backup: Backup, through: Through = iter) -> dict[str, int]:
    """Store the objects of a backup that are missing in their stores; return counts.

    The counts are those of ``objects.put_back``. ``through`` gets an iterable of the objects and
    returns one of the same objects, for example to report progress. Raises BackupError if a store
    fails.
    """
    return objects.put_back(through(needed_objects(connection)), backup.copies)


def _suffix() -> str:
    return timezone.now().astimezone(UTC).strftime(TIME)
