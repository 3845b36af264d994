"""The command that verifies a backup."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError

from images.backups import manifests, reports, verification
from images.backups.backup import Backup
from images.console import CatalogueCommand
from images.management.backups import (
    add_backup_argument,
    objects_progress,
    opened,
)
from images.units import counted


class Command(CatalogueCommand):
    help = (
        "Check a backup without the service: its checksums, whether it can be restored, whether "
        "all rows are then there, and whether the data of the images has its digests. A backup "
        "of PostgreSQL is restored into a new database on the server of DATABASE_URL, which is "
        "dropped at the end. Prints a line for each problem. Exit code 1: there is at least one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_backup_argument(parser)
        parser.add_argument(
            "--quick",
            action="store_true",
            help="only compare the checksums of the database and the secret key",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        number, is_there = 0, False
        try:
            with opened(options["backup"]) as backup:
                is_there = backup.folder.is_dir()
                for problem in _problems(backup, options["quick"]):
                    self.write_row(problem, problem=problem)
                    number += 1
        except CommandError:
            if is_there:
                reports.note(is_whole=False)
            raise
        if number or not options["quick"]:
            reports.note(is_whole=not number)
        if number:
            raise CommandError(
                f"{counted(number, 'problem')} found. Do not rely on this backup: make a new one. "
                "If data of images is damaged, make it with --afresh."
            )
        self.write_summary(f"{backup.name}: nothing is wrong.")


def _problems(backup: Backup, quick: bool) -> Iterator[str]:
    manifest = manifests.read(backup)
    damaged = manifests.damaged_files(backup.folder, manifest)
    yield from damaged
    if not damaged and not quick:
        yield from verification.problems(backup, manifest, objects_progress)
