from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from imagecatalog.identity.management import arguments


class Command(BaseCommand):
    help = (
        "Make an application credential, with which a program signs in as the user, in one "
        "project. Its secret is printed once. KEY can be sent as it is, as X-Auth-Token or "
        "Authorization: Bearer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        arguments.add_credential_options(parser)
        parser.add_argument("name", help="what the credential is called")

    def handle(self, *args: Any, **options: Any) -> None:
        row, secret = arguments.make_credential(options["name"], options)
        self.stdout.write(f"ID     {row.pk}\nSECRET {secret}\nKEY    {row.pk}.{secret}")
