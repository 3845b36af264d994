"""The command that purges images that were deleted permanently: it removes their records."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from images.console import (
    CatalogueCommand,
    age,
    confirm,
    iso,
    positive_integer,
    progress,
)
from images.management import paused
from images.operations import purge
from images.operations.purge import BATCH
from images.units import counted

MOST = 10_000  # images in one transaction
DANGER = (
    "WARNING: with --release-ids any user can create an image with an id that other users, "
    "scripts and running servers still use, and so give them different data."
)


def batch(text: str) -> int:
    """Parse the value of an option: the number of images in one transaction, from 1 to 10,000.

    The number is limited because other writers wait for the transaction. Raises
    ArgumentTypeError for any other text.
    """
    number = positive_integer(text)
    if number > MOST:
        raise ArgumentTypeError(f"{text!r} is too large. Use at most {MOST}.")
    return number


class Command(CatalogueCommand):
    help = (
        "Purge images that were deleted permanently long ago: remove their history, transfers, "
        "locations, members, name, owner, properties and all other values from the database. "
        "Only the id is kept, so that it is never reused. Images that may still have data in "
        "a store are skipped. The command works in short transactions while the service runs; "
        "it can be stopped and started again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--age",
            type=age,
            default=timedelta(days=30),
            metavar="DAYS",
            help="only images that were deleted more than DAYS days ago, or for example 12h ago "
            "(default: 30)",
        )
        parser.add_argument(
            "--batch",
            type=batch,
            default=BATCH,
            metavar="N",
            help=f"images in one transaction (default: {BATCH}); other writers wait for it",
        )
        parser.add_argument(
            "--release-ids",
            action="store_true",
            help="also remove the ids, including those of images that are already purged. "
            "DANGEROUS: any user can then create an image with an id that others still use. "
            "Asks for confirmation on a terminal",
        )
        self.add_yes_option(parser)
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only list the images; change nothing",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["dry_run"]:
            paused.refuse()
        before = timezone.now() - options["age"]
        release_ids, dry_run = options["release_ids"], options["dry_run"]
        ready, waiting = purge.purge_total(before, release_ids=release_ids)
        if release_ids:
            self.stderr.write(DANGER)
            if ready and not dry_run:
                confirm(
                    f"The ids of {counted(ready, 'image')} will be released.",
                    options["yes"],
                )
        word = "would be purged" if dry_run else "purged"
        purged = 0
        for image_id in progress(_purged(before, options), ready):
            purged += 1
            self.write_row(f"{image_id}: {word}", image_id=image_id, purged=not dry_run)
        ids = "ids released" if release_ids else "ids stay reserved"
        self.write_summary(
            f"{counted(purged, 'image')} deleted before {iso(before)} {word}; {ids}."
        )
        if waiting:
            self.write_summary(
                f"{counted(waiting, 'more image')} skipped: the data is not removed from its "
                "store yet."
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
