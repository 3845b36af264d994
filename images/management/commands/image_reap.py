from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from images.access import operator
from images.console import iso, progress
from images.models import Image, Transfer
from images.transfers import object_removal, reaper
from images.units import counted


class Command(BaseCommand):
    help = (
        "End transfers that are dead: those whose process is gone, that were silent for "
        "IMAGECATALOG_LEASE_SECONDS, or that took longer than IMAGECATALOG_TRANSFER_SECONDS. "
        "Their images return to 'queued' (through API v1: 'killed') and can be tried again; "
        "what they have left in a store is removed, at once where their process is known to "
        "be dead, else a lease later. The service does this by itself all the "
        "time; this command does it now. One line a transfer: image, status, transfer, since "
        "when it is silent, and why it counts as dead."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only list what would be ended; changes nothing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = reaper.expired()
        before = _statuses([transfer for transfer, _ in found])
        if options["dry_run"]:
            for transfer, reason in found:
                self._line(transfer, before.get(transfer.image_id, "?"), str(reason))
            self.stdout.write(f"{counted(len(found), 'transfer')} would be ended.")
            return
        ended = reaper.end_expired(
            operator("command"), lambda dead: progress(dead, len(dead), " transfers")
        )
        count = Transfer.objects.unclean().count()
        reaper.remove_orphaned_objects(
            object_removal.Failures(), lambda left: progress(left, count, " leftovers")
        )
        after, reasons = _statuses(ended), _reasons(ended)
        for transfer in ended:
            was = before.get(transfer.image_id, "?")
            now = after.get(transfer.image_id, "?")
            self._line(transfer, f"{was}->{now}", reasons.get(transfer.pk, ""))
        self.stdout.write(f"{counted(len(ended), 'transfer')} ended.")
        self._say_what_is_left()

    def _line(self, transfer: Transfer, status: str, reason: str) -> None:
        self.stdout.write(
            f"{transfer.image_id} {status} {transfer.kind} {transfer.pk} "
            f"silent since {iso(transfer.heartbeat_at)}: {reason}"
        )

    def _say_what_is_left(self) -> None:
        if left := Transfer.objects.unclean().count():
            self.stdout.write(
                f"{counted(left, 'failed transfer')} still {'has' if left == 1 else 'have'} "
                "bytes in a store; a later run removes them, once their store lets it and, "
                "unless their process is known to be dead, a lease after the transfer ended."
            )


def _statuses(transfers: list[Transfer]) -> dict[str, str]:
    images = Image.objects.in_bulk([transfer.image_id for transfer in transfers])
    return {image_id: image.status for image_id, image in images.items()}


def _reasons(transfers: list[Transfer]) -> dict[Any, str]:
    rows = Transfer.objects.in_bulk([transfer.pk for transfer in transfers])
    return {pk: row.error for pk, row in rows.items()}
