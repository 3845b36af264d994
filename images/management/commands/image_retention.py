"""The command that shows, runs and undoes retention policies."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from images.access import Caller, operator
from images.console import (
    CatalogueCommand,
    command_errors,
    confirm,
    iso,
    positive_integer,
)
from images.jobs import kinds
from images.management import json_files, paused
from images.models import Job, JobStatus, RetentionPolicy, RetentionRun
from images.retention import acting, listing, policies, runs, undoing, values
from images.retention.preview import Preview, preview
from images.retention.rules import ACTIONS
from images.units import counted, size

POLL_SECONDS = 0.5  # between two looks at a job that a worker carries out
LISTED_RUNS = 20


class Command(CatalogueCommand):
    help = (
        "Run a retention policy: hide, deactivate and delete the images that it does not keep. "
        "Without a policy, list all policies. --dry-run lists the decision on each image, a line "
        "for each: IMAGE VERSION AGE DECISION: REASON. A run can be undone as long as its deleted "
        "images are in the trash."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "policy", nargs="?", metavar="POLICY", help="name of a policy"
        )
        action = parser.add_mutually_exclusive_group()
        action.add_argument(
            "--dry-run",
            action="store_true",
            help="list the decisions on all images, and change nothing",
        )
        action.add_argument(
            "--undo",
            type=positive_integer,
            metavar="RUN",
            help="undo the run with this number: unhide, reactivate and restore its images that "
            "nobody has changed since; ends the schedule of the policy",
        )
        action.add_argument(
            "--show", action="store_true", help="print the policy as JSON"
        )
        action.add_argument(
            "--runs",
            action="store_true",
            help=f"list the last {LISTED_RUNS} runs of the policy",
        )
        action.add_argument(
            "--load",
            metavar="FILE",
            help="create or change the policy that a file describes in JSON",
        )
        action.add_argument(
            "--delete", action="store_true", help="delete the policy; its runs stay"
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="act even on more than the share of the images that the policy allows",
        )
        parser.add_argument(
            "--reason",
            default="",
            help="reason, recorded in the histories of the images",
        )
        self.add_yes_option(parser)
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        caller, name = operator("command"), options["policy"]
        with command_errors():
            if options["undo"]:
                self._undo(caller, options)
            elif options["load"]:
                self._load(caller, Path(options["load"]))
            elif name is None:
                self._list(options)
            elif options["show"]:
                document = values.document(policies.get(caller, name))
                self.stdout.write(json.dumps(document, indent=2))
            elif options["delete"]:
                policies.delete(caller, name)
                self.write_summary(f"Policy {name} was deleted.")
            elif options["runs"]:
                self._runs(policies.get(caller, name))
            elif options["dry_run"]:
                self._preview(policies.get(caller, name))
            else:
                self._run(caller, name, options)

    def _list(self, options: dict[str, Any]) -> None:
        if any(options[it] for it in ("dry_run", "show", "runs", "delete")):
            raise CommandError("Name the policy, too.")
        for policy in RetentionPolicy.objects.order_by("name").iterator():
            schedule = policy.schedule or "by hand"
            if policy.schedule and not policy.enabled:
                schedule += " (disabled)"
            self.write_row(
                f"{policy.name}: {schedule}, next run {iso(policy.next_run_at)}",
                **values.document(policy),
                next_run_at=policy.next_run_at,
            )

    def _load(self, caller: Caller, path: Path) -> None:
        document = json_files.read(path)
        name = document.get("name") if isinstance(document, dict) else None
        if isinstance(name, str) and RetentionPolicy.objects.filter(name=name).exists():
            del document["name"]
            policies.update(caller, name, document)
            self.write_summary(f"Policy {name} was changed.")
        else:
            policy = policies.create(caller, document)
            self.write_summary(f"Policy {policy.name} was created.")

    def _preview(self, policy: RetentionPolicy) -> None:
        found = preview(policy, limit=None)
        self._write_decisions(found)
        self.write_summary(_summary(found))
        if found.exceeds(policy):
            self.write_summary(runs.would_refuse(policy, found))

    def _write_decisions(self, found: Preview) -> None:
        now = timezone.now()
        for decision in found.page:
            fact = decision.fact
            self.write_row(
                f"{fact.image} {fact.label or '-'} {(now - fact.built).days}d "
                f"{decision.sentence}",
                image=fact.image,
                name=fact.name,
                group=fact.group,
                version=fact.label or None,
                built_at=fact.built,
                bytes=fact.size,
                decision=decision.decision,
                because=decision.because,
                blocked_by=decision.blocked_by or None,
            )

    def _run(self, caller: Caller, name: str, options: dict[str, Any]) -> None:
        paused.refuse()
        policy = policies.get(caller, name)
        found = preview(policy, limit=None, only=ACTIONS)
        if found.exceeds(policy) and not options["force"]:
            raise CommandError(runs.too_many(policy, found))
        if not self.as_json:
            self._write_decisions(found)
        acts = counted(len(found.acts), "image")
        confirm(f"{acts}, {size(found.size)}, will be changed.", options["yes"])
        run = runs.start(
            caller,
            name,
            options["reason"],
            token=found.token,
            force=options["force"],
        )
        assert run.job is not None
        self._finish(run, run.job)

    def _undo(self, caller: Caller, options: dict[str, Any]) -> None:
        paused.refuse()
        number = options["undo"]
        ends_schedule = undoing.ends_schedule(number)
        job = undoing.start(caller, number, options["reason"])
        if ends_schedule:
            self.write_summary(
                "The schedule of the policy has ended: change the policy, then enable it."
            )
        self._finish(RetentionRun.objects.get(pk=number), job)

    def _finish(self, run: RetentionRun, job: Job) -> None:
        """Carry out a job here, unless a worker has begun it; then wait, and print the results."""
        if not kinds.carry_out(job.pk):
            while Job.objects.open().filter(pk=job.pk).exists():
                time.sleep(POLL_SECONDS)
        run = RetentionRun.objects.select_related("job").get(pk=run.pk)
        for row in run.decisions.order_by("pk"):
            outcome = listing.result(run, row)
            if row.error:
                outcome += f": {row.error}"
            self.write_row(
                f"{row.image_id} {row.label or '-'} {row.decision} {outcome}",
                run=run.pk,
                image=row.image_id,
                name=row.name,
                version=row.label or None,
                decision=row.decision,
                because=row.because,
                result=row.result,
                error=row.error or None,
            )
        ended = Job.objects.get(pk=job.pk)
        if ended.error_code:
            has = "was" if ended.status == JobStatus.CANCELLED else "has"
            raise CommandError(f"Run {run.pk} {has} {ended.status}: {ended.error}")
        counts = ", ".join(f"{it} {n}" for it, n in acting.results(run).items())
        self.write_summary(
            f"Run {run.pk} of policy {run.name}: {counts or 'no image'}."
        )

    def _runs(self, policy: RetentionPolicy) -> None:
        for run in listing.runs(policy, limit=LISTED_RUNS)[0]:
            acts = counted(listing.number_of_acts(run), "image")
            self.write_row(
                f"{run.pk} {iso(run.started_at)} {listing.status(run)} "
                f"{acts} {run.reason}".rstrip(),
                run=run.pk,
                started_at=run.started_at,
                status=listing.status(run),
                counts=run.counts,
                reason=run.reason,
                refusal=run.refusal or None,
            )


def _summary(found: Preview) -> str:
    counts = ", ".join(f"{it} {n}" for it, n in found.counts.items() if n)
    acts = f"{len(found.acts)} of {counted(found.total, 'image')}, {size(found.size)}"
    return f"A run would act on {acts}{counts and ': '}{counts}."
