"""The command that removes the second factor of a user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from imagecatalog.identity import second_factor
from imagecatalog.identity.management import arguments
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Remove the second factor of a user who has lost it. The password alone is enough then; "
        "where a second factor is required, the next sign-in sets up another one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        account = arguments.user(options["name"])
        removed = second_factor.remove(account, arguments.CONSOLE)
        done = "is removed" if removed else "was not set up"
        self.stdout.write(f"The second factor of {account} {done}.")
