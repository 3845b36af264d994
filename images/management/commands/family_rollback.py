"""The command that goes back to an earlier version of a family."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images import families
from images.management.families import REF_HELP, FamilyCommand


class Command(FamilyCommand):
    help = (
        "Make the version current that was current before, of those that are active and not "
        "withdrawn."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ref", metavar="FAMILY", help=REF_HELP)
        parser.add_argument(
            "--withdraw",
            action="store_true",
            help="withdraw the version that is current now: no rollback chooses it again",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        ref, reason, withdraw = options["ref"], options["reason"], options["withdraw"]
        self.change(
            lambda caller: families.rollback(caller, ref, reason, withdraw=withdraw),
            options,
        )
