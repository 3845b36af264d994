"""Django's command `migrate`, which here also creates the data folder."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django.core.management.commands import migrate

from images import data_folder
from images.management import migration_lock


class Command(migrate.Command):
    def execute(self, *args: Any, **options: Any) -> str | None:
        data_folder.prepare()
        only_looks = options["check_unapplied"] or options["plan"]
        with nullcontext() if only_looks else migration_lock.held():
            return super().execute(*args, **options)
