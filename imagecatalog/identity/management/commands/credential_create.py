from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from imagecatalog.identity.management import people


class Command(BaseCommand):
    help = (
        "Make an application credential, with which a program signs in as the user, in one "
        "project. Its secret is printed once. KEY can be sent as it is, as X-Auth-Token or "
        "Authorization: Bearer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument("name", help="what the credential is called")
        people.add_credential_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        someone = people.user(options["user"])
        row, secret = people.make_credential(options["name"], someone, options)
        self.stdout.write(f"ID     {row.pk}\nSECRET {secret}\nKEY    {row.pk}.{secret}")
