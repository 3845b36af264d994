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

    Returns the figures about its content. The copy has the state of one moment; other users of
    the database do not wait.
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
    """Open a temporary copy of a backup's database within the context, and remove it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        shutil.copyfile(backup / FILE, path)
        with opened_sqlite(str(path)) as database:
            yield database


def damage(database: BaseDatabaseWrapper) -> str | None:
    """Return SQLite's description of damage in the structure of a database; None: no damage."""
    with database.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check(1)")
        (found,) = cursor.fetchone()
    return None if found == "ok" else found


def replace(suffix: str) -> None:
    """Put the present database aside: rename its files with this suffix."""
    connection.close()
    database = Path(connection.settings_dict["NAME"])
    for end in ("", "-wal", "-shm"):
        path = Path(f"{database}{end}")
        if path.exists():
            path.rename(f"{database}.replaced-{suffix}{end}")


def restore(backup: Path, reason: str) -> None:
    """Restore the database of a backup as the service's database, which must not exist.

    The file appears only when it is complete, with the background workers paused for
    ``reason``.
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
