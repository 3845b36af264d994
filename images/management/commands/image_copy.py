"""The command that copies images to another store."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from images import errors, lifecycle
from images.access import operator
from images.console import CatalogueCommand, say


class Command(CatalogueCommand):
    help = (
        "Request copies of images in a further store. The background worker makes them; "
        "image_status shows how far they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="ID", help="id of an image")
        parser.add_argument(
            "--to", required=True, metavar="STORE", help="id of a store"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        actor, failed = operator("command"), False
        for image_id in options["ids"]:
            try:
                lifecycle.request_image_copy(image_id, options["to"], actor)
            except errors.ImageError as error:
                failed = True
                say(self.stderr, f"{image_id}: {error.for_operator()}")
            else:
                say(self.stdout, f"{image_id}: requested")
        if failed:
            raise CommandError("Some images are not copied.")
