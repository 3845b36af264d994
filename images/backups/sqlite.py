"""The SQLite database in a backup: a file, copied by SQLite's own backup."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from django.db import DatabaseError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from images import outages
from images.backups import BackupError
from images.backups.contents import (
    REMOVED_SECRET,
    TRANSFERS,
    Facts,
    NeededObject,
    facts,
    needed_objects,
    opened_sqlite,
    pause_workers,
)
from images.backups.files import create_file
from images.stores.writeback import sync_folder

FILE: Final = "database.sqlite3"


def dump(folder: Path) -> Facts:
    """Copy the service's database into a file in the folder of a backup.

    The secrets of transfers are left out. The copy has the content of one moment; other users of
    the database do not wait. Returns figures about the content of the database.
    """
    path = folder / FILE
    os.close(create_file(path))
    connection.ensure_connection()
    with (
        _explained("copied"),
        closing(sqlite3.connect(path, isolation_level=None)) as copy,
    ):
        connection.connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        copy.execute(
            f"UPDATE {TRANSFERS} SET secret = ? WHERE secret <> ''", [REMOVED_SECRET]
        )
        copy.execute("VACUUM")  # what was overwritten or deleted is still in the file
    with opened_sqlite(str(path)) as database:
        return facts(database)


def needed(backup: Path) -> Iterator[NeededObject]:
    """Yield the stored objects to which the database in a backup refers.

    Reads the database file in the backup: during such a long read of the service's own database,
    the write-ahead log of that database would grow.
    """
    with opened_sqlite(str(backup / FILE)) as database:
        yield from needed_objects(database)


@contextmanager
def restored_for_a_test(backup: Path) -> Iterator[BaseDatabaseWrapper]:
    """A context manager that opens a temporary copy of a backup's database, and yields it.

    The copy is removed at the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        shutil.copyfile(backup / FILE, path)
        with opened_sqlite(str(path)) as database:
            yield database


def damage(database: BaseDatabaseWrapper) -> str | None:
    """Return SQLite's description of damage in the structure of a database; None without damage.

    Raises OperationalError if the file cannot be read, for example because of the disk.
    """
    try:
        with database.cursor() as cursor:
            cursor.execute("PRAGMA integrity_check(1)")
            (found,) = cursor.fetchone()
    except OperationalError:
        raise
    except DatabaseError as error:  # it is not a database at all
        return outages.reason(error)
    return None if found == "ok" else found


def restore(backup: Path, reason: str, suffix: str) -> None:
    """Replace the service's database with the one in a backup.

    The new database appears complete, with the background workers paused for ``reason``. The files
    of the present database are kept: their names get ``.replaced-`` and ``suffix``. Raises
    BackupError if the present database is in use.
    """
    target = Path(connection.settings_dict["NAME"])
    draft = target.with_name(f".{target.name}.restored")
    draft.unlink(missing_ok=True)
    try:
        os.close(create_file(draft))
        shutil.copyfile(backup / FILE, draft)
        with _explained("restored"), opened_sqlite(str(draft)) as database:
            pause_workers(database, reason)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        connection.close()
        _put_aside(target, suffix)
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(target.parent)


def _put_aside(database: Path, suffix: str) -> None:
    """Rename the files of a database: ``.replaced-`` and ``suffix`` are added to their names.

    A log file without its database is renamed, too, because SQLite would apply it to the next
    database of that name. Raises BackupError if the database is in use.
    """
    if database.exists():
        _end_log(database)
    for end in ("", "-wal", "-shm"):
        path = Path(f"{database}{end}")
        if path.exists() and path.stat().st_size:
            path.rename(f"{database}.replaced-{suffix}{end}")


def _end_log(database: Path) -> None:
    """Write the log of a database into its main file. Does nothing if the file is damaged.

    Raises BackupError if another process has the database open.
    """
    with closing(sqlite3.connect(database, timeout=1, isolation_level=None)) as alone:
        try:
            alone.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname == "SQLITE_BUSY":
                raise BackupError(
                    f"Another process uses the database {database}. Stop the service, and repeat."
                ) from error


@contextmanager
def _explained(done: str) -> Iterator[None]:
    """A context manager that turns an error of SQLite into BackupError.

    ``done`` completes the sentence "The database cannot be …", for example ``copied``.
    """
    try:
        yield
    except (sqlite3.Error, DatabaseError) as error:
        raise BackupError(
            f"The database cannot be {done}: {outages.reason(error)}. Use a disk with enough space."
        ) from error
