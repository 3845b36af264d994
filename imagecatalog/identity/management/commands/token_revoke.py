"""The command that revokes all tokens of a user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from imagecatalog.identity import sign_in_log, tokens
from imagecatalog.identity.management import arguments
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Revoke all of a user's tokens. The password and the application credentials (API "
        "keys) stay valid and can be used to get new tokens. `user_disable` locks a user out."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        account = arguments.user(options["user"])
        tokens.revoke_all(account.pk)
        sign_in_log.record("tokens_revoke", account.get_username(), arguments.CONSOLE)
        self.stdout.write(f"All tokens of {account} are revoked.")
        now = timezone.now()
        for row in account.application_credentials.exclude(expires_at__lte=now):
            self.stdout.write(
                f"The application credential {row.name} is still valid: {row.pk} "
                "(credential_delete deletes it)"
            )
