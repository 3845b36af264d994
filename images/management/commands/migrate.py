"""Django's command `migrate`, which here also creates the data folder."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate

from images import data_folder


class Command(migrate.Command):
    def execute(self, *args: Any, **options: Any) -> str | None:
        data_folder.prepare()
        return super().execute(*args, **options)
