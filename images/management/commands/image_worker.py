"""The command that runs a background worker."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images.console import CatalogueCommand, positive_integer, seconds
from images.jobs import worker


class Command(CatalogueCommand):
    help = (
        "Run a background worker. It ends dead transfers, scrubs images that are due, fetches "
        "web downloads, imports the data of complete resumable uploads, carries out jobs, and "
        "removes old sign-in records. `serve` runs one background worker; any number can run at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--interval",
            type=seconds,
            help="seconds between two rounds, or for example 5m (default: 10, or a sixth of "
            "IMAGECATALOG_LEASE_SECONDS if that is less)",
        )
        parser.add_argument(
            "--copies",
            type=positive_integer,
            default=4,
            help="number of web downloads at once, at most half of them for one project "
            "(default: %(default)s)",
        )
        parser.add_argument(
            "--jobs",
            type=positive_integer,
            default=4,
            help="number of jobs at once, at most half of them for one project "
            "(default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        interval = options["interval"]
        if interval is None:
            interval = worker.default_interval()
        worker.run(interval, options["copies"], options["jobs"])
