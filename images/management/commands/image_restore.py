from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from images import errors, lifecycle
from images.access import operator


class Command(BaseCommand):
    help = (
        "Bring deleted images back whose data has not been scrubbed yet (status "
        "pending_delete), in the status that they had, with locations, tags, properties "
        "and members."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="ID", help="the image's id")
        parser.add_argument(
            "--reason", default="", help="goes into the image's history"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for image_id in options["ids"]:
            try:
                lifecycle.restore(image_id, operator("command"), options["reason"])
            except errors.ImageError as error:
                failed += 1
                self.stderr.write(f"{image_id}: {error}")
            else:
                self.stdout.write(f"{image_id}: restored")
        if failed:
            raise CommandError(f"{failed} of {len(options['ids'])} were not restored.")
