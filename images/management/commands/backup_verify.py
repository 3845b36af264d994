"""The command that verifies a backup."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from images.backups import manifests, reports, verification
from images.console import CatalogueCommand
from images.management.backups import explained, objects_progress
from images.units import counted


class Command(CatalogueCommand):
    help = (
        "Check a backup without the service: its checksums, whether it can be restored, whether "
        "all rows are then there, and whether the data of the images has its digests. A backup "
        "of PostgreSQL is restored into a new database on the server of DATABASE_URL, which is "
        "dropped at the end. Prints a line for each problem. Exit code 1: there is at least one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", metavar="BACKUP", help="the folder of a backup")
        parser.add_argument(
            "--quick",
            action="store_true",
            help="only compare the checksums of the database and the secret key",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        backup, number = Path(options["backup"]).absolute(), 0
        try:
            with explained(backup):
                for problem in _problems(backup, options["quick"]):
                    self.write_row(problem, problem=problem)
                    number += 1
        except CommandError:
            if backup.is_dir():
                reports.note(is_whole=False)
            raise
        if number or not options["quick"]:
            reports.note(is_whole=not number)
        if number:
            raise CommandError(
                f"{counted(number, 'problem')} found. Do not rely on this backup: make a new one."
            )
        self.write_summary(f"{backup}: nothing is wrong.")


def _problems(backup: Path, quick: bool) -> Iterator[str]:
    manifest = manifests.read(backup)
    damaged = manifests.damaged_files(backup, manifest)
    yield from damaged
    if not damaged and not quick:
        yield from verification.problems(backup, manifest, objects_progress)
