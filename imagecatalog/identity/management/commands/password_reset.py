"""The command that gives a user a new password."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from imagecatalog.identity import users
from imagecatalog.identity.management import arguments
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Give a user a new password: the value of the variable IMAGECATALOG_USER_PASSWORD, or "
        "else a generated one, which is printed once. The user's tokens become invalid; "
        "application credentials keep working."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        account = arguments.user(options["name"])
        chosen = settings.IMAGECATALOG_USER_PASSWORD
        try:
            password = users.reset_password(account, chosen, arguments.CONSOLE)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        shown = "as IMAGECATALOG_USER_PASSWORD says" if chosen else password
        self.stdout.write(f"Password of {account}: {shown}")
