"""The command that ends transfers whose process has died, and releases their images."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images.access import operator
from images.console import CatalogueCommand, iso, progress
from images.management import paused
from images.models import Image, Transfer
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import reaper
from images.units import counted


class Command(CatalogueCommand):
    help = (
        "End dead transfers: those whose process has ended, that had no heartbeat for "
        "IMAGECATALOG_LEASE_SECONDS, or that took longer than IMAGECATALOG_TRANSFER_SECONDS. "
        "Their images return to 'queued' (for API v1: 'killed') and can be uploaded again. "
        "Their partial data is removed from the store: at once if their process is known to "
        "be dead, else after one lease period. The service does this continuously; this "
        "command does it now. Prints a line for each transfer: image, status, transfer, time "
        "of the last heartbeat, and why the transfer is considered dead."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only list the transfers; change nothing",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        expired = reaper.dead_transfers()
        before = _statuses([transfer for transfer, _ in expired])
        if options["dry_run"]:
            for transfer, reason in expired:
                self._line(transfer, before.get(transfer.image_id, "?"), str(reason))
            self.write_summary(f"{counted(len(expired), 'transfer')} would be ended.")
            return
        paused.refuse()
        ended = reaper.end_dead_transfers(
            operator("command"), lambda dead: progress(dead, len(dead), " transfers")
        )
        count = reaper.unclean_count()
        reaper.remove_orphaned_objects(
            CircuitBreaker(),
            lambda unclean: progress(unclean, count, " orphaned objects"),
        )
        after, reasons = _statuses(ended), _reasons(ended)
        for transfer in ended:
            was = before.get(transfer.image_id, "?")
            now = after.get(transfer.image_id, "?")
            self._line(transfer, f"{was}->{now}", reasons.get(transfer.pk, ""))
        self.write_summary(f"{counted(len(ended), 'transfer')} ended.")
        self._report_unclean()

    def _line(self, transfer: Transfer, status: str, reason: str) -> None:
        self.write_row(
            f"{transfer.image_id} {status} {transfer.kind} {transfer.pk} "
            f"silent since {iso(transfer.heartbeat_at)}: {reason}",
            image_id=transfer.image_id,
            status=status,
            kind=transfer.kind,
            transfer=transfer.pk,
            heartbeat_at=transfer.heartbeat_at,
            reason=reason,
        )

    def _report_unclean(self) -> None:
        if count := reaper.unclean_count():
            self.write_summary(
                f"{counted(count, 'transfer')} still "
                f"{'has' if count == 1 else 'have'} partial data in a store. The service removes it "
                "when the store is available and, unless the process of the transfer is known "
                "to be dead, one lease period after the transfer ended."
            )


def _statuses(transfers: list[Transfer]) -> dict[str, str]:
    images = Image.objects.in_bulk([transfer.image_id for transfer in transfers])
    return {image_id: image.status for image_id, image in images.items()}


def _reasons(transfers: list[Transfer]) -> dict[Any, str]:
    rows = Transfer.objects.in_bulk([transfer.pk for transfer in transfers])
    return {pk: row.error for pk, row in rows.items()}
