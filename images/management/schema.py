"""The migration of the database's tables, and whether this release knows all of them."""

from __future__ import annotations

import logging
from typing import Any

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


class Migrate(migrate.Command):
    """Django's command ``migrate``, which also logs the begin of each migration."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        """Log the begin of a migration."""
        if action == "apply_start":
            log.log(self._level, "migrating the database: %s", migration)


def is_new() -> bool:
    """Return whether the database does not exist, or no migration was applied to it yet.

    Does not create the file of a SQLite database.
    """
    return not (db.exists() and MigrationRecorder(connection).applied_migrations())


def refuse_newer() -> None:
    """Raise CommandError if a newer release has migrated the database.

    This release could run on those tables, as it does while both releases run during an
    upgrade, but it may have been deployed by mistake.
    """
    if unknown := _unknown_migrations():
        raise CommandError(
            f"A newer release has migrated the database ({', '.join(unknown)}). Start that "
            "release. To serve with this one until all machines are upgraded, add "
            "--allow-newer-database."
        )


def refuse_older() -> None:
    """Raise CommandError if the database lacks tables or migrations of this release."""
    if is_new():
        raise CommandError(
            f"There are no tables in {data_folder.database_name()}. {MIGRATE_FIRST}"
        )
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        missing = ", ".join(str(migration) for migration, _ in plan)
        raise CommandError(
            f"The database lacks migrations of this release ({missing}). {MIGRATE_FIRST}"
        )


def upgrade() -> None:
    """Apply the migrations that the database does not have yet."""
    level = logging.DEBUG if is_new() else logging.INFO
    call_command(Migrate(level), interactive=False, verbosity=0)


def _unknown_migrations() -> list[str]:
    loader = MigrationLoader(connection)
    unknown = set(loader.applied_migrations) - set(loader.disk_migrations)
    return sorted(f"{app}.{name}" for app, name in unknown if app in APPS)
