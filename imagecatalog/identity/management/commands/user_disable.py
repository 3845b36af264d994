"""The command that disables a user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from imagecatalog.identity import users
from imagecatalog.identity.management import arguments
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Disable a user: its password, tokens and application credentials are refused. Images, "
        "roles and credentials stay. `user_enable` enables the user again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        account = arguments.user(options["name"])
        changed = users.set_active(account, False, arguments.CONSOLE)
        self.stdout.write(f"{account} {'is' if changed else 'already was'} disabled.")
