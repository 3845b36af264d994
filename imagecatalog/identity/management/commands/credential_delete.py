from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from imagecatalog.identity import application_credentials
from imagecatalog.identity.management import arguments
from imagecatalog.identity.models import ApplicationCredential


class Command(BaseCommand):
    help = "End application credentials, and with them the tokens that were given for them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="ID", help="the credential's id")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = ApplicationCredential.objects.select_related("user")
        found = {row.pk: row for row in rows.filter(pk__in=options["ids"])}
        for credential_id, row in found.items():
            application_credentials.delete(row, arguments.CONSOLE)
            self.stdout.write(f"{credential_id}: deleted")
        if missing := [it for it in options["ids"] if it not in found]:
            raise CommandError(
                f"There is no credential {', '.join(missing)}. `credential_list` shows all."
            )
