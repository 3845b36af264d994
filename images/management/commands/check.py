"""Django's command `check`, which here also checks the database and the object stores."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.core.management.commands import check
from django.db import DEFAULT_DB_ALIAS

from images import db
from images.console import CatalogueCommand
from images.management import object_stores


class Command(CatalogueCommand, check.Command):
    help = (
        "Check the configuration, the database, whether object stores answer, and whether all "
        "stores that images need are configured. `doctor` examines more, and also writes."
    )
    requires_system_checks: list[str] = []  # it runs them itself

    def handle(self, *app_labels: Any, **options: Any) -> None:
        if not options["databases"] and db.exists():
            options["databases"] = [DEFAULT_DB_ALIAS]
        # Not at start, because other commands, such as `migrate`, do not need the stores.
        checks.register(object_stores.answering, "stores")
        super().handle(*app_labels, **options)
