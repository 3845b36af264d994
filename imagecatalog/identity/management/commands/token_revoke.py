from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from imagecatalog.identity import journal, tokens
from imagecatalog.identity.management import people


class Command(BaseCommand):
    help = (
        "End all tokens that a user has. Passwords and application credentials stay: to keep "
        "somebody out, change or delete those."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        someone = people.user(options["user"])
        tokens.revoke_all(someone.pk)
        journal.record("tokens_revoke", someone.get_username(), people.CONSOLE)
        self.stdout.write(f"All tokens of {someone} have ended.")
