"""The command that makes a version of a family the current one."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images import families
from images.management.families import REF_HELP, FamilyCommand


class Command(FamilyCommand):
    help = (
        "Make a version the current one of its family, in one step for all readers: they see "
        "the old or the new image under its name, never both and never none."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ref", metavar="FAMILY", help=REF_HELP)
        parser.add_argument("label", metavar="LABEL", help="label of a version")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        ref, label, reason = options["ref"], options["label"], options["reason"]
        self.change(
            lambda caller: families.promote(caller, ref, label, reason), options
        )
