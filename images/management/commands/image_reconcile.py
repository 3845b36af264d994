from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Sum
from django.utils import timezone

from images import errors, stores
from images.access import operator
from images.console import confirm, progress, say, watching
from images.operations import consistency
from images.operations.consistency import fixes
from images.operations.consistency.finding import Finding
from images.units import counted


class Command(BaseCommand):
    help = (
        "Compare the catalogue with its stores and with its own rules, and show all that is "
        "wrong, a line each: KIND IMAGE STORE KEY MESSAGE. Changes nothing without --fix. "
        "Exit code 1 when something is wrong and was not fixed. May run while the service "
        "works."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--fix",
            action="store_true",
            help=(
                "then put right what can be: stuck images are released, overdue ones "
                "scrubbed, orphaned bytes removed, and copies without bytes given up (an "
                "image that loses its last copy is queued, and takes the same bytes only)"
            ),
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before")
        parser.add_argument(
            "--store", metavar="ID", help="only look at the bytes of this store"
        )
        parser.add_argument(
            "--bytes",
            action="store_true",
            help="also read all data and compare it with the digests; takes long",
        )
        parser.add_argument(
            "--foreign",
            action="store_true",
            help=(
                "with --fix: also remove orphans of images that this catalogue never had. "
                "Never where stores are shared, or after a database was restored"
            ),
        )
        parser.add_argument(
            "--empty-store",
            action="store_true",
            help="with --fix: a store in which nothing is has really lost everything",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found, again = self.show(options)
        if not found:
            self.stdout.write("Nothing is wrong.")
            return
        unfixed = sum(found.values())
        if options["fix"]:
            number = sum(map(fixes.can_fix, again))
            if number:
                confirm(f"Try to fix {counted(number, 'finding')}?", options["yes"])
            unfixed = self.fix(again, options)
        if unfixed:
            raise CommandError(f"{counted(unfixed, 'finding')} not fixed.")

    def show(self, options: dict[str, Any]) -> tuple[Counter[str], list[Finding]]:
        """Print every finding; how many of each kind, and, to fix them, what they are."""
        found: Counter[str] = Counter()
        orphaned, kept = 0, []
        try:
            for finding in _findings(options):
                say(self.stdout, _line(finding))
                found[finding.kind] += 1
                if finding.kind == "orphan-bytes":
                    orphaned += finding.size or 0
                if options["fix"]:
                    kept.append(finding)
        except errors.Invalid as error:
            raise CommandError(str(error)) from None
        if found:
            kinds = ", ".join(f"{number} {kind}" for kind, number in found.items())
            space = f" ({orphaned} orphaned bytes)" if orphaned else ""
            self.stdout.write(
                f"{counted(sum(found.values()), 'finding')}: {kinds}{space}"
            )
        return found, kept

    def fix(self, findings: list[Finding], options: dict[str, Any]) -> int:
        """How many stay."""
        fixing = fixes.Fixing(
            operator("command"), options["foreign"], options["empty_store"]
        )
        stay = 0
        tried = fixes.fix(findings, fixing)
        for finding, why in progress(tried, len(findings), " findings"):
            outcome = "fixed" if why is None else f"NOT fixed: {why}"
            say(self.stdout, f"{_place(finding)} {outcome}")
            stay += why is not None
        return stay


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


def _place(finding: Finding) -> str:
    parts = (finding.kind, finding.image_id, finding.store, finding.key)
    return " ".join(part or "-" for part in parts)


def _line(finding: Finding) -> str:
    return f"{_place(finding)} {finding.message}"
