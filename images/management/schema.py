"""Migration of the database, and checks whether its tables are those of this release."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from images import data_folder, db

log = logging.getLogger(__name__)

APPS = ("identity", "images")
MIGRATE_FIRST = (
    "Run the command `migrate` of this release first, or serve without --no-migrate."
)
MIGRATION_LOCK = 0x696D6167  # a number that other programs on the database do not use


class Migrate(migrate.Command):
    """Django's command `migrate`, which here also logs the start of each migration."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        """Log the start of a migration (called by Django for each step)."""
        if action == "apply_start":
            log.log(self._level, "migrating the database: %s", migration)


def is_new() -> bool:
    """Return whether the database does not exist, or no migration was ever applied to it.

    Does not create the file of a SQLite database.
    """
    return not (db.exists() and MigrationRecorder(connection).applied_migrations())


def refuse_newer() -> None:
    """Raise CommandError if a newer release has migrated the database.

    This release can use the newer tables, as it must during an upgrade, but it was perhaps
    started by mistake.
    """
    applied = MigrationRecorder(connection).applied_migrations()
    if newer := unknown(f"{app}.{name}" for app, name in applied):
        raise CommandError(
            f"A newer release has migrated the database ({', '.join(newer)}). Start that "
            "release. To serve with this one until all machines are upgraded, add "
            "--allow-newer-database."
        )


def refuse_older() -> None:
    """Raise CommandError if the database has no tables, or lacks migrations of this release."""
    if is_new():
        raise CommandError(
            f"There are no tables in {data_folder.database_name()}. {MIGRATE_FIRST}"
        )
    if missing := pending():
        raise CommandError(
            f"The database lacks migrations of this release ({', '.join(missing)}). "
            f"{MIGRATE_FIRST}"
        )


def pending() -> list[str]:
    """Return the names of this release's migrations that were not applied to the database."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [str(migration) for migration, _ in plan]


@contextmanager
def exclusive() -> Iterator[None]:
    """Wait for the lock for preparing the database, and hold it during the context.

    Only one service at a time can prepare the database.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        return
    path = settings.IMAGECATALOG_DATA_DIR / "migrate.lock"
    with data_folder.explained(path):
        lock = path.open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def upgrade() -> None:
    """Apply the migrations of this release that were not applied to the database."""
    level = logging.DEBUG if is_new() else logging.INFO
    call_command(Migrate(level), interactive=False, verbosity=0)


def unknown(migrations: Iterable[str]) -> list[str]:
    """Return the migrations of this project's apps that a newer release must have added.

    ``migrations`` are names in the form ``app.name``. Migrations of other apps are ignored.
    """
    disk = MigrationLoader(None).disk_migrations
    ours = (name for name in migrations if name.partition(".")[0] in APPS)
    return sorted(set(ours) - {f"{app}.{name}" for app, name in disk})
