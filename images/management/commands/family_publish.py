"""The command that publishes a family, or ends its publication."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images import families
from images.management.families import REF_HELP, FamilyCommand


class Command(FamilyCommand):
    help = (
        "Publish the images of a family as files below /pub/, if the service publishes at all "
        "(IMAGECATALOG_PUBLISH)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ref", metavar="FAMILY", help=REF_HELP)
        parser.add_argument(
            "--stop", action="store_true", help="publish the family no longer"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        ref, reason = options["ref"], options["reason"]
        document = {"publish": not options["stop"]}
        self.change(
            lambda caller: families.update(caller, ref, document, reason), options
        )
