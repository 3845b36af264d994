"""The command that lists application credentials."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from imagecatalog.identity.management import arguments
from imagecatalog.identity.models import ApplicationCredential
from images.console import CatalogueCommand, iso, say


class Command(CatalogueCommand):
    help = "List the application credentials of one user or of all users."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", nargs="?", help="the name of a user")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = ApplicationCredential.objects.select_related("user", "project")
        if options["user"]:
            rows = rows.filter(user=arguments.user(options["user"]))
        for row in rows:
            say(
                self.stdout,
                f"{row.pk}  {row.name}: {row.role} of {row.user} in {row.project}, "
                f"{', '.join(row.actions) if row.actions else 'all actions'}, "
                f"expires {iso(row.expires_at)}, last used {iso(row.last_used_at)}",
            )
