"""The command that loads metadata definitions from files."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from images import errors
from images.console import CatalogueCommand
from images.metadefs import files
from images.metadefs.files import Merge
from images.units import counted


class Command(CatalogueCommand):
    help = (
        "Load metadata definitions from JSON files in the format of Glance, one namespace in "
        "each file. A namespace that exists is skipped, unless --merge says otherwise. Exit "
        "code 1: at least one file was not loaded."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "path",
            type=Path,
            metavar="PATH",
            help="a file, or a folder with files *.json",
        )
        parser.add_argument(
            "--merge",
            type=Merge,
            choices=list(Merge),
            default=Merge.SKIP,
            help="what happens to a namespace that exists: add adds the content that is "
            "missing, prefer-new also changes what differs, overwrite replaces the namespace",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = files.find(options["path"])
        except errors.NotFound as error:
            raise CommandError(str(error)) from None
        counts: Counter[str] = Counter()
        for path in found:
            try:
                tree = files.read(path)
                done = files.load(tree, options["merge"])
            except errors.ImageError as error:
                counts["failed"] += 1
                self.stderr.write(f"{path}: {error}")
            else:
                counts[done] += 1
                self.stdout.write(f"{tree.fields['namespace']}: {done}")
        if counts["failed"]:
            raise CommandError(
                f"{counts['failed']} of {counted(len(found), 'file')} not loaded. "
                "The reasons are listed above."
            )
