"""The command that enables a disabled user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from imagecatalog.identity import users
from imagecatalog.identity.management import arguments
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Enable a disabled user: the password and the application credentials that the user "
        "had are accepted again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        account = arguments.user(options["name"])
        changed = users.set_active(account, True, arguments.CONSOLE)
        self.stdout.write(f"{account} {'is' if changed else 'already was'} enabled.")
