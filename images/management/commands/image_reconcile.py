"""The command that compares the catalogue with its stores, and can fix the differences."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Sum
from django.utils import timezone

from images import errors, stores
from images.access import operator
from images.console import CatalogueCommand, confirm, progress, watching
from images.management import paused
from images.operations import consistency
from images.operations.consistency import fixes
from images.operations.consistency.finding import Finding
from images.units import counted


class Command(CatalogueCommand):
    help = (
        "Check that the catalogue agrees with its stores and with its own rules. Prints a line "
        "for each finding: KIND IMAGE STORE KEY MESSAGE. Changes nothing without --fix. Exit "
        "code 1: at least one finding was not fixed. The command can be used while the service "
        "runs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--fix",
            action="store_true",
            help=(
                "fix the findings that can be fixed: release stuck images, scrub overdue "
                "images, remove orphaned objects, and remove locations whose data is missing "
                "(an image that loses its last location is queued and accepts only the same "
                "data again)"
            ),
        )
        self.add_yes_option(parser)
        parser.add_argument(
            "--store", metavar="ID", help="only check the data in this store"
        )
        parser.add_argument(
            "--bytes",
            action="store_true",
            help="also read all data and verify its digests, which takes long",
        )
        parser.add_argument(
            "--foreign",
            action="store_true",
            help=(
                "with --fix: also remove orphaned objects of images that this catalogue never "
                "had. Do not use it with shared stores or after the database was restored"
            ),
        )
        parser.add_argument(
            "--empty-store",
            action="store_true",
            help="with --fix: also remove the locations in a store that is completely empty",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["fix"]:
            paused.refuse()
        if options["fix"] and options["empty_store"]:
            _accept_empty_folders()
        counts, findings = self.show(options)
        if not counts:
            self.write_summary("Nothing is wrong.")
            return
        unfixed = sum(counts.values())
        if options["fix"]:
            number = sum(map(fixes.can_fix, findings))
            if number:
                confirm(f"Try to fix {counted(number, 'finding')}?", options["yes"])
            unfixed = self.fix(findings, options)
        if unfixed:
            raise CommandError(f"{counted(unfixed, 'finding')} not fixed.")

    def show(self, options: dict[str, Any]) -> tuple[Counter[str], list[Finding]]:
        """Print every finding of the consistency check; return the number of findings by kind.

        The second value is the list of findings with the option --fix, else it is empty.
        """
        counts: Counter[str] = Counter()
        orphaned, kept = 0, []
        try:
            for finding in _findings(options):
                self.write_row(_line(finding), **asdict(finding))
                counts[finding.kind] += 1
                if finding.kind == "orphan-bytes":
                    orphaned += finding.size or 0
                if options["fix"]:
                    kept.append(finding)
        except errors.Invalid as error:
            raise CommandError(str(error)) from None
        if counts:
            kinds = ", ".join(f"{number} {kind}" for kind, number in counts.items())
            space = f" ({orphaned} orphaned bytes)" if orphaned else ""
            self.write_summary(
                f"{counted(sum(counts.values()), 'finding')}: {kinds}{space}"
            )
        return counts, kept

    def fix(self, findings: list[Finding], options: dict[str, Any]) -> int:
        """Try to fix the findings and print each result; return how many could not be fixed."""
        fixing = fixes.Fixing(
            operator("command"), options["foreign"], options["empty_store"]
        )
        unfixed = 0
        tried = fixes.fix(findings, fixing)
        for finding, reason in progress(tried, len(findings), " findings"):
            outcome = "fixed" if reason is None else f"NOT fixed: {reason}"
            self.write_row(
                f"{_columns(finding)} {outcome}",
                **asdict(finding),
                fixed=reason is None,
                reason=reason,
            )
            unfixed += reason is not None
        return unfixed


def _findings(options: dict[str, Any]) -> Iterator[Finding]:
    store = options["store"]
    check = partial(consistency.check, store=store, listed=_listed)
    if not options["bytes"] and store != stores.HTTP.id:
        yield from check()
        return
    copies = consistency.to_verify(timezone.now(), store=store)
    size = copies.aggregate(size=Sum("image__size"))["size"] or 0
    with watching("read", size) as watch:
        yield from check(read_bytes=options["bytes"], read=watch)


def _listed(objects: Iterable[tuple[str, int]]) -> Iterable[tuple[str, int]]:
    return progress(objects, None, " objects")


def _columns(finding: Finding) -> str:
    parts = (finding.kind, finding.image_id, finding.store, finding.key)
    return " ".join(part or "-" for part in parts)


def _line(finding: Finding) -> str:
    return f"{_columns(finding)} {finding.message}"


def _accept_empty_folders() -> None:
    """Mark the folders of all stores as mounted, even empty folders that should have data."""
    for store in stores.configured():
        try:
            store.check_mounted(in_use=lambda: False)
        except errors.StoreError as error:
            raise CommandError(f"The store {store.id!r}: {error}") from None
