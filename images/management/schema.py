"""Migration of the database, and checks whether its tables are those of this release."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Permission
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


def is_current() -> bool:
    """Return whether the database has all migrations and all of Django's permissions of this release."""
    return not pending() and _has_permissions()


def _has_permissions() -> bool:
    """Return whether the database has Django's permissions for all models.

    Django creates permissions after the last migration; an interruption there leaves some missing.
    """
    found = Permission.objects.values_list("content_type__app_label", "codename")
    return _permissions() <= set(found)


def _permissions() -> set[tuple[str, str]]:
    models = [model._meta for model in apps.get_models()]
    return {
        (it.app_label, codename)
        for it in models
        for codename in (
            *(get_permission_codename(action, it) for action in it.default_permissions),
            *(name for name, _ in it.permissions),
        )
    }


def upgrade() -> None:
    """Apply the missing migrations of this release, and create missing permissions.

    Writes nothing if nothing is missing.
    """
    if is_current():
        return
    level = logging.DEBUG if is_new() else logging.INFO
    call_command(Migrate(level), interactive=False, verbosity=0)


def unknown(migrations: Iterable[str]) -> list[str]:
    """Return the migrations of this project's apps that a newer release must have added.

    ``migrations`` are names in the form ``app.name``. Migrations of other apps are ignored.
    """
    disk = MigrationLoader(None).disk_migrations
    ours = (name for name in migrations if name.partition(".")[0] in APPS)
    return sorted(set(ours) - {f"{app}.{name}" for app, name in disk})
