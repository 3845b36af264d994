from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from images import lifecycle
from images.access import operator


class Command(BaseCommand):
    help = (
        "Delete for good the images whose scrub time is over, and remove bytes that are due "
        "for deletion. The service does this by itself; this command does it now."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only list the images"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        ids = lifecycle.scrub_due(operator("command"), dry_run=dry_run)
        for image_id in ids:
            self.stdout.write(image_id)
        if dry_run:
            self.stdout.write(f"{len(ids)} images would be deleted for good.")
            return
        removed = lifecycle.sweep()
        self.stdout.write(
            f"{len(ids)} images deleted for good (scrub time "
            f"{settings.IMAGECATALOG_SCRUB_TIME} s), {removed} more objects removed."
        )
