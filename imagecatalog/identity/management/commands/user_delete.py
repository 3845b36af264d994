"""The command that deletes a user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from imagecatalog.identity import users
from imagecatalog.identity.management import arguments
from images.console import CatalogueCommand, confirm


class Command(CatalogueCommand):
    help = (
        "Delete a user with its roles, tokens and application credentials. Images stay with "
        "their project. Asks for confirmation on a terminal; `user_disable` can be undone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the user's name")
        self.add_yes_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        account = arguments.user(options["name"])
        confirm(f"The user {account} will be deleted.", options["yes"])
        users.delete(account, arguments.CONSOLE)
        self.stdout.write(f"{account} is deleted.")
