"""Django's command `check`, which here also checks the database."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import check
from django.db import DEFAULT_DB_ALIAS

from images import db
from images.console import CatalogueCommand


class Command(CatalogueCommand, check.Command):
    help = "Check the configuration, the database, and whether all stores that images need are configured."
    requires_system_checks: list[str] = []  # it runs them itself

    def handle(self, *app_labels: Any, **options: Any) -> None:
        if not options["databases"] and db.exists():
            options["databases"] = [DEFAULT_DB_ALIAS]
        super().handle(*app_labels, **options)
