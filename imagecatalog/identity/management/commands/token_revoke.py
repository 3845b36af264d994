from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from imagecatalog.identity import sign_in_log, tokens
from imagecatalog.identity.management import arguments


class Command(BaseCommand):
    help = (
        "End all tokens that a user has. The password and the application credentials (API "
        "keys) keep working, and new tokens can be had for them. To keep somebody out, change "
        "the password (`changepassword NAME`), and end the credentials: `credential_list NAME` "
        "shows their ids, `credential_delete ID` ends one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        someone = arguments.user(options["user"])
        tokens.revoke_all(someone.pk)
        sign_in_log.record("tokens_revoke", someone.get_username(), arguments.CONSOLE)
        self.stdout.write(f"All tokens of {someone} have ended.")
        now = timezone.now()
        for row in someone.application_credentials.exclude(expires_at__lte=now):
            self.stdout.write(
                f"The application credential {row.name} keeps working: {row.pk} "
                "(credential_delete ends it)"
            )
