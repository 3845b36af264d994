"""The command that deletes application credentials."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from imagecatalog.identity import application_credentials
from imagecatalog.identity.management import arguments
from imagecatalog.identity.models import ApplicationCredential
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Delete application credentials, which also invalidates the tokens that were issued "
        "for them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "ids", nargs="+", metavar="ID", help="the id of a credential"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rows = ApplicationCredential.objects.select_related("user")
        by_id = {row.pk: row for row in rows.filter(pk__in=options["ids"])}
        for credential_id, row in by_id.items():
            application_credentials.delete(row, arguments.CONSOLE)
            self.stdout.write(f"{credential_id}: deleted")
        if missing := [pk for pk in options["ids"] if pk not in by_id]:
            raise CommandError(
                f"There is no credential {', '.join(missing)}. `credential_list` shows all."
            )
