"""The command that lists jobs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images.access import operator
from images.console import CatalogueCommand, iso, positive_integer
from images.job_queue import listing
from images.models import Job, JobStatus


class Command(CatalogueCommand):
    help = (
        "List jobs, newest first, a line for each: ID KIND STATUS PROGRESS REQUESTED. Then comes "
        "the reason for a failure."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--status",
            choices=JobStatus.values,
            help="only jobs with this status",
        )
        parser.add_argument("--kind", help="only jobs of this kind")
        parser.add_argument(
            "--limit",
            type=positive_integer,
            default=100,
            metavar="N",
            help="at most N jobs (default: %(default)s)",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        found, _marker = listing.jobs(
            operator("command"),
            kind=options["kind"],
            status=options["status"],
            limit=options["limit"],
        )
        for job in found:
            self.write_row(_line(job), **_facts(job))
        if not found:
            self.write_summary("There are no jobs.")


def _line(job: Job) -> str:
    total = "?" if job.progress_total is None else job.progress_total
    progress = (
        f"{job.progress_done}/{total}{job.progress_unit and ' '}{job.progress_unit}"
    )
    words = [
        str(job.pk),
        job.kind,
        job.status,
        progress,
        iso(job.created_at),
        job.error,
    ]
    return " ".join(filter(None, words))


def _facts(job: Job) -> dict[str, Any]:
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "status": job.status,
        "done": job.progress_done,
        "total": job.progress_total,
        "unit": job.progress_unit,
        "project": job.project or None,
        "actor": job.actor,
        "reason": job.reason,
        "created_at": iso(job.created_at),
        "started_at": job.started_at and iso(job.started_at),
        "finished_at": job.finished_at and iso(job.finished_at),
        "attempts": job.attempts,
        "error_code": job.error_code,
        "error": job.error,
        "worker": job.worker,
    }
