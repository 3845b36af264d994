"""The command that adds an image to a family."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images import families
from images.management.families import REF_HELP, FamilyCommand


class Command(FamilyCommand):
    help = (
        "Add an image to a family as a new version. The image gets the values of the family's "
        "template and, unless it is promoted, is hidden or gets another name."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ref", metavar="FAMILY", help=REF_HELP)
        parser.add_argument("image", metavar="IMAGE", help="id of an image")
        parser.add_argument(
            "--label",
            help="label of the version (default: the build date, such as 20260131)",
        )
        parser.add_argument(
            "--promote",
            action="store_true",
            help="make it the current image of the family",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.change(
            lambda caller: families.add(
                caller,
                options["ref"],
                options["image"],
                options["reason"],
                label=options["label"],
                promote=options["promote"],
            ),
            options,
        )
