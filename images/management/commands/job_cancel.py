"""The command that cancels a job."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from images import job_queue
from images.access import operator
from images.console import CatalogueCommand, command_errors


class Command(CatalogueCommand):
    help = (
        "Cancel a job: a waiting one at once, a running one as soon as its worker notices. What "
        "it has done already stays as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", type=UUID, metavar="JOB", help="id of the job")
        parser.add_argument("--reason", default="", help="reason, shown with the job")
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with command_errors():
            job = job_queue.cancel(
                options["job"], operator("command"), options["reason"]
            )
        done = "is being cancelled" if job.is_cancelling else "cancelled"
        self.write_row(f"Job {job.pk} {done}.", id=str(job.pk), status=job.status)
