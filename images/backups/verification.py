"""The verification of a backup. It does not need the service from which the backup was made."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

from images.backups import BackupError, manifests, objects, postgresql, sqlite
from images.backups.backup import Backup
from images.backups.contents import Facts, facts, needed_objects
from images.backups.creation import Through
from images.backups.manifests import Manifest
from images.models import WorkerPause


def checked(backup: Backup) -> Manifest:
    """Check the files of a backup against their checksums, and return its manifest.

    Raises BackupError if a file is missing or damaged, or if the manifest cannot be read.
    """
    manifest = manifests.read(backup)
    if problems := manifests.damaged_files(backup.folder, manifest):
        raise BackupError(
            f"{backup.name} cannot be restored: {' '.join(problems)} Use another backup."
        )
    return manifest


def problems(
    backup: Backup, manifest: Manifest, through: Through = iter
) -> Iterator[str]:
    """Restore a backup into a temporary database, and yield a sentence about each problem.

    Compares the numbers of rows of all tables with the ``manifest`` of the backup, and the copies
    of objects with the objects' digests. ``through`` gets an iterable of the objects and returns
    one of the same objects, for example to report progress. A backup of PostgreSQL is restored into
    a new database on the server of the service. Raises DamagedBackup if the restore fails, and
    BackupError if it cannot be tried.
    """
    if manifest.database == "postgresql" and connection.vendor != "postgresql":
        raise BackupError(
            "This is a backup of a PostgreSQL database. Name a server on which it can be restored "
            "for the test in DATABASE_URL, or compare only the checksums with --quick."
        )
    module = postgresql if manifest.database == "postgresql" else sqlite
    with module.restored_for_a_test(backup.folder) as database:
        if module is sqlite and (damage := sqlite.damage(database)):
            yield f"The database is damaged: {damage}"
            return
        yield from _differences(facts(database), manifest.facts)
        if manifest.objects is not None:
            needed = through(needed_objects(database))
            yield from objects.damaged(
                needed, backup.copies, manifest.objects["missing"]
            )


def _differences(found: Facts, expected: Facts) -> Iterator[str]:
    paused = WorkerPause._meta.db_table  # a restore pauses the workers
    for name in sorted((found.tables.keys() | expected.tables.keys()) - {paused}):
        rows, should = found.tables.get(name), expected.tables.get(name)
        if rows != should:
            yield f"The table {name} has {rows} rows, and had {should}."
    if found.migrations != expected.migrations:
        yield "The migrations are not those of the backed up database."
    if found.newest_event != expected.newest_event:
        yield f"The newest event is {found.newest_event}, and was {expected.newest_event}."
