"""The command that lists application credentials."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from imagecatalog.identity.management import arguments
from imagecatalog.identity.models import ApplicationCredential
from images.console import CatalogueCommand, iso


class Command(CatalogueCommand):
    help = "List the application credentials of one user or of all users."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", nargs="?", help="the name of a user")
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        rows = ApplicationCredential.objects.select_related("user", "project")
        if options["user"]:
            rows = rows.filter(user=arguments.user(options["user"]))
        for row in rows:
            self.write_row(
                f"{row.pk}  {row.name}: {row.role} of {row.user} in {row.project}, "
                f"{', '.join(row.actions) if row.actions else 'all actions'}, "
                f"expires {iso(row.expires_at)}, last used {iso(row.last_used_at)}",
                id=row.pk,
                name=row.name,
                user=row.user.get_username(),
                project_id=row.project_id,
                project=row.project.name,
                role=row.role,
                actions=row.actions,
                expires_at=row.expires_at,
                last_used_at=row.last_used_at,
            )
