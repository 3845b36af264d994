from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from images.console import count, positive
from images.jobs import worker


class Command(BaseCommand):
    help = (
        "The background worker: ends what has died, deletes what is due, fetches what is to "
        "be copied from web addresses, makes images of uploads that are whole, and forgets "
        "sign-ins of long ago. `serve` runs one; any number may run at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--interval", type=positive, default=10.0, help="seconds between two rounds"
        )
        parser.add_argument(
            "--copies",
            type=count,
            default=4,
            help="images that are fetched at once, at most half of them for one project "
            "(default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        worker.run(options["interval"], options["copies"])
