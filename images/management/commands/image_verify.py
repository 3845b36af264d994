"""The command that reads stored data and compares it with sizes and digests."""

from __future__ import annotations

import math
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Sum
from django.utils import timezone

from images import errors, stores
from images.access import operator
from images.console import CatalogueCommand, age, positive_integer, rate, watching
from images.models import Image
from images.operations import consistency, verification
from images.operations.consistency import Copy, fixes
from images.stores.circuit_breaker import CircuitBreaker


class Command(CatalogueCommand):
    help = (
        "Verify stored data: read it and compare it with the size and digests of its image. "
        "The copies that were verified longest ago come first. Each result is stored at once: "
        "after Ctrl-C the next run continues where this one stopped. Data at a URL that was never "
        "read is inspected, and its digests are stored. Prints a line for each "
        "damaged copy: IMAGE STORE KEY DAMAGE. Exit code 1: at least one copy is damaged or "
        "could not be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="only these images")
        parser.add_argument(
            "--rate",
            type=rate,
            metavar="MIB",
            help="read at most MIB MiB per second, or for example 1.5GiB",
        )
        parser.add_argument(
            "--older-than",
            type=age,
            default=timedelta(),
            metavar="DAYS",
            help="skip copies that were verified in the last DAYS days, or for example 12h",
        )
        parser.add_argument(
            "--limit",
            type=positive_integer,
            metavar="N",
            help="verify at most N copies",
        )
        parser.add_argument("--store", metavar="ID", help="only copies in this store")
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        before = timezone.now() - options["older_than"]
        if options["store"]:
            _check_store(options["store"])
        _check_known(set(options["ids"]))
        due = consistency.to_verify(before, options["ids"], options["store"])
        total = due.aggregate(size=Sum("image__size"))["size"] or 0
        bytes_per_second = options["rate"] or math.inf
        self.counts: Counter[str] = Counter()
        self.breaker = CircuitBreaker()
        try:
            with watching("", None if options["limit"] else total) as self.watch:
                for copy in islice(
                    consistency.in_verification_order(due), options["limit"]
                ):
                    self._verify(copy, bytes_per_second)
        except KeyboardInterrupt:
            self._summary()
            self.write_summary("Stopped. The next run continues from here.")
            sys.exit(130)
        self._summary()
        self._fail_if_damaged()

    def _verify(self, copy: Copy, bytes_per_second: float) -> None:
        if self.breaker.is_open(copy.store):
            self.counts["unreadable"] += 1
            return

        def through(blocks: Iterable[bytes]) -> Iterable[bytes]:
            return self.watch(consistency.rate_limited(blocks, bytes_per_second))

        try:
            result = verification.verify(copy, through, operator("command"))
        except (errors.StoreError, errors.Invalid) as error:
            # It is unknown whether the data is damaged, so no result is stored.
            self.breaker.failed(copy.store)
            self.counts["unreadable"] += 1
            self._write(copy, f"cannot be read: {error.for_operator()}")
            return
        self.breaker.succeeded(copy.store)
        if result is None:
            return  # the location was removed while its data was read
        if result.damage:
            self.counts["damaged"] += 1
            self._write(copy, result.damage)
        elif result.is_compared:
            self.counts["good"] += 1
        else:
            self.counts["no digest"] += 1

    def _write(self, copy: Copy, trouble: str) -> None:
        self.write_row(
            f"{copy.image_id} {copy.store} {copy.key} {trouble}",
            image_id=copy.image_id,
            store=copy.store,
            key=copy.key,
            trouble=trouble,
        )

    def _summary(self) -> None:
        counts = self.counts
        self.write_summary(
            f"{counts['good']} good, {counts['damaged']} damaged, "
            f"{counts['no digest']} no digest, {counts['unreadable']} could not be read"
        )

    def _fail_if_damaged(self) -> None:
        if self.counts["damaged"]:
            raise CommandError(
                f"Some copies are damaged. {fixes.DAMAGED} `image_reconcile --fix` removes "
                "locations whose data is missing."
            )
        if self.counts["unreadable"]:
            raise CommandError(
                "Some copies could not be read. Check their stores and repeat the command."
            )


def _check_store(store_id: str) -> None:
    try:
        stores.get(store_id)
    except errors.Invalid as error:
        raise CommandError(f"{error}.") from None


def _check_known(ids: set[str]) -> None:
    known = Image.objects.filter(pk__in=ids).values_list("pk", flat=True)
    unknown = ids - set(known)
    if unknown:
        raise CommandError(
            f"No image found with ID {', '.join(sorted(unknown))}. Check the ids."
        )
