"""The command that creates an application credential."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from imagecatalog.identity.management import arguments
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Create an application credential, with which a program signs in as the user in one "
        "project. The secret is printed only once. A program can also send KEY directly, as "
        "X-Auth-Token or Authorization: Bearer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        arguments.add_credential_options(parser)
        parser.add_argument("name", help="the name of the credential")

    def handle(self, *args: Any, **options: Any) -> None:
        row, secret = arguments.make_credential(options["name"], options)
        self.stdout.write(f"ID     {row.pk}\nSECRET {secret}\nKEY    {row.pk}.{secret}")
