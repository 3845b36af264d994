from __future__ import annotations

import math
import sys
from argparse import ArgumentParser
from collections import Counter
from datetime import timedelta
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Sum
from django.utils import timezone

from images import errors, stores
from images.access import operator
from images.console import count, days, positive, say, watching
from images.models import Image
from images.operations import consistency, repair
from images.operations.consistency import Copy

MIB = 1 << 20


class Command(BaseCommand):
    help = (
        "Read stored data again and compare it with the size and digests of its image; the "
        "copies that were not verified for the longest time come first. Every copy's result "
        "is noted at once: after Ctrl-C the next run goes on where this one stopped. Prints "
        "a line for each damaged copy: IMAGE STORE KEY DAMAGE. Exit code 1 when there was one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="only these images")
        parser.add_argument(
            "--rate", type=positive, metavar="MIB", help="read at most MiB a second"
        )
        parser.add_argument(
            "--older-than",
            type=days,
            metavar="DAYS",
            help="leave out what was verified in the last DAYS days",
        )
        parser.add_argument("--limit", type=count, metavar="N", help="at most N copies")
        parser.add_argument("--store", metavar="ID", help="only copies in this store")

    def handle(self, *args: Any, **options: Any) -> None:
        before = timezone.now() - timedelta(days=options["older_than"] or 0)
        if options["store"]:
            _check_store(options["store"])
        _check_known(set(options["ids"]))
        due = consistency.to_verify(before, options["ids"], options["store"])
        total = due.aggregate(size=Sum("image__size"))["size"] or 0
        rate = options["rate"] * MIB if options["rate"] else math.inf
        self.counts: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        try:
            with watching("", None if options["limit"] else total) as self.watch:
                for copy in islice(consistency.due(due), options["limit"]):
                    self._verify(copy, rate)
        except KeyboardInterrupt:
            self._summary()
            self.stdout.write("Stopped. The next run goes on from here.")
            sys.exit(130)
        self._summary()
        self._fail_if_damaged()

    def _verify(self, copy: Copy, rate: float) -> None:
        if self.failures[copy.store] >= stores.PATIENCE:
            self.counts["unreadable"] += 1
            return
        try:
            damage = consistency.damage(
                copy, lambda blocks: self.watch(consistency.paced(blocks, rate))
            )
        except errors.DataMissing:
            damage = "missing-bytes", "the store does not have its bytes"
        except (errors.StoreError, errors.Invalid) as error:
            # Whether the bytes are damaged is not known: nothing is noted.
            self.failures[copy.store] += 1
            self.counts["unreadable"] += 1
            say(self.stdout, f"{_place(copy)} cannot be read: {error}")
            return
        self.failures[copy.store] = 0
        if damage and not copy.is_needed():
            return  # taken from its image while it was read
        self._note(copy, f"{damage[0]}: {damage[1]}" if damage else "")

    def _note(self, copy: Copy, damage: str) -> None:
        repair.note_verified(copy.location, damage, operator("command"))
        if damage:
            self.counts["damaged"] += 1
            say(self.stdout, f"{_place(copy)} {damage}")
        elif copy.digests:
            self.counts["good"] += 1
        else:
            self.counts["no digest"] += 1

    def _summary(self) -> None:
        counts = self.counts
        self.stdout.write(
            f"{counts['good']} good, {counts['damaged']} damaged, "
            f"{counts['no digest']} no digest, {counts['unreadable']} could not be read"
        )

    def _fail_if_damaged(self) -> None:
        if self.counts["damaged"]:
            raise CommandError(
                "There is damage. Put the right bytes back under the key, or delete the "
                "image; image_reconcile --fix gives up copies whose bytes are gone."
            )
        if self.counts["unreadable"]:
            raise CommandError("Not all could be read. See to the stores, and repeat.")


def _place(copy: Copy) -> str:
    return f"{copy.image_id} {copy.store} {copy.key}"


def _check_store(store_id: str) -> None:
    try:
        stores.get(store_id)
    except errors.Invalid as error:
        raise CommandError(f"{error}.") from None


def _check_known(ids: set[str]) -> None:
    known = Image.objects.filter(pk__in=ids).values_list("pk", flat=True)
    unknown = ids - set(known)
    if unknown:
        raise CommandError(f"No image found with ID {', '.join(sorted(unknown))}.")
