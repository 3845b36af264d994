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

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from images.backups.contents import (
    REMOVED_SECRET,
    TRANSFERS,
    Facts,
    facts,
    opened_sqlite,
    pause_workers,
)
from images.backups.folders import create_file
from images.stores.writeback import sync_folder

FILE: Final = "database.sqlite3"


def dump(folder: Path) -> Facts:
    """Copy the database into the folder of a backup, without the secrets of transfers.

    The copy is that of one moment; nobody waits for it.
    """
    path = folder / FILE
    os.close(create_file(path))
    connection.ensure_connection()
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        connection.connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        copy.execute(
            f"UPDATE {TRANSFERS} SET secret = ? WHERE secret <> ''", [REMOVED_SECRET]
        )
        copy.execute("VACUUM")  # what was overwritten or deleted is still in the file
    with opened_sqlite(str(path)) as database:
        return facts(database)


@contextmanager
def restored_for_a_test(backup: Path) -> Iterator[BaseDatabaseWrapper]:
    """Open a copy of the database in a backup, which is removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        shutil.copyfile(backup / FILE, path)
        with opened_sqlite(str(path)) as database:
            yield database


def damage(database: BaseDatabaseWrapper) -> str | None:
    """Return what is wrong with the structure of a database; None if it is sound."""
    with database.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check(1)")
        (found,) = cursor.fetchone()
    return None if found == "ok" else found


def replace(suffix: str) -> None:
    """Rename the files of the service's database: their names get this suffix."""
    connection.close()
    database = Path(connection.settings_dict["NAME"])
    for end in ("", "-wal", "-shm"):
        path = Path(f"{database}{end}")
        if path.exists():
            path.rename(f"{database}.replaced-{suffix}{end}")


def restore(backup: Path, reason: str) -> None:
    """Put the database of a backup in the place of the service's, which must not exist.

    It appears complete, and with its workers paused for ``reason``.
    """
    target = Path(connection.settings_dict["NAME"])
    draft = target.with_name(f".{target.name}.restored")
    draft.unlink(missing_ok=True)
    os.close(create_file(draft))
    shutil.copyfile(backup / FILE, draft)
    with opened_sqlite(str(draft)) as database:
        pause_workers(database, reason)
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    connection.close()
    draft.rename(target)
    sync_folder(target.parent)
