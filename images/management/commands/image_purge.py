from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from images.console import confirm, count, days, iso, progress, say
from images.operations import purge
from images.operations.purge import BATCH
from images.units import counted

MOST = 10_000  # images in one transaction
DANGER = (
    "WARNING: with --release-ids anybody can create an image under an id that users, scripts "
    "and running servers still know, and give them other data under it."
)


def batch(text: str) -> int:
    """Not more at once: all others wait meanwhile."""
    number = count(text)
    if number > MOST:
        raise ArgumentTypeError(f"{text!r} is more than {MOST}.")
    return number


class Command(BaseCommand):
    help = (
        "Remove what the database still holds of images that were deleted for good long ago: "
        "history, transfers, locations, members, name, owner, properties and all else. The "
        "id alone stays, so that nobody can ever create another image under it. Images of "
        "which bytes may still be in a store are left alone. Works in short transactions "
        "while the service runs, and can be stopped and started at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--age",
            type=days,
            default=30,
            metavar="DAYS",
            help="only images that were deleted longer ago (default: 30)",
        )
        parser.add_argument(
            "--batch",
            type=batch,
            default=BATCH,
            metavar="N",
            help=f"images in one transaction (default: {BATCH}); others wait meanwhile",
        )
        parser.add_argument(
            "--release-ids",
            action="store_true",
            help="remove the ids too, also of images that were purged before. DANGEROUS: a "
            "stranger can then create an image under the id of one that people know. "
            "Asks first on a terminal",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--dry-run", action="store_true", help="only list the images"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        before = timezone.now() - timedelta(days=options["age"])
        release_ids, dry_run = options["release_ids"], options["dry_run"]
        ready, waiting = purge.purge_total(before, release_ids=release_ids)
        if release_ids:
            self.stderr.write(DANGER)
            if ready and not dry_run:
                confirm(
                    f"The ids of {counted(ready, 'image')} become free.", options["yes"]
                )
        word = "would be purged" if dry_run else "purged"
        purged = 0
        for image_id in progress(_purged(before, options), ready):
            purged += 1
            say(self.stdout, f"{image_id}: {word}")
        ids = "ids released" if release_ids else "ids stay reserved"
        self.stdout.write(
            f"{counted(purged, 'image')} deleted before {iso(before)} {word}; {ids}."
        )
        if waiting:
            self.stdout.write(
                f"{waiting} more are left alone: their bytes are not gone yet."
            )


def _purged(before: datetime, options: dict[str, Any]) -> Iterator[str]:
    last = ""
    while True:
        ids = purge.purge_deleted(
            before,
            after=last,
            batch=options["batch"],
            release_ids=options["release_ids"],
            dry_run=options["dry_run"],
        )
        yield from ids
        if len(ids) < options["batch"]:
            return
        last = ids[-1]
