"""The heartbeat of a running transfer, which also notices when the transfer was ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from django.conf import settings
from django.db import Error
from django.utils import timezone

from images import db, errors, outages, process_metrics
from images.failpoints import failpoint
from images.models import (
    Transfer,
    TransferStatus,
)
from images.transfers.workers import is_dead


def keep_alive(transfer: Transfer, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the blocks of a transfer's data; save its heartbeat and byte count at each interval.

    Raises Gone as soon as the transfer is no longer running.
    """
    beat = at_intervals(transfer)
    for block in blocks:
        transfer.bytes_received += len(block)
        counted = transfer.kind, transfer.store
        process_metrics.count("transfer_bytes_total", *counted, by=len(block))
        beat()
        yield block
        failpoint("data.streaming")


def at_intervals(transfer: Transfer) -> Callable[[], bool]:
    """Return a function that saves a heartbeat if one is due, and returns whether one was due.

    The function raises Gone when the transfer is no longer running.
    """
    due = time.monotonic() + interval()

    def beat() -> bool:
        nonlocal due
        if time.monotonic() <= due:
            return False
        send(transfer)
        due = time.monotonic() + interval()
        return True

    return beat


def interval() -> float:
    """Return the seconds between two heartbeats: a sixth of a lease, because some can be lost."""
    return settings.IMAGECATALOG_LEASE_SECONDS / 6


def send(transfer: Transfer) -> None:
    """Save a heartbeat and the byte count. Raises Gone when the transfer is no longer running.

    If the database does not answer, the heartbeat is skipped.
    """
    running = Transfer.objects.filter(pk=transfer.pk, status=TransferStatus.RUNNING)
    try:
        updated = running.update(
            heartbeat_at=timezone.now(), bytes_received=transfer.bytes_received
        )
    except Error as error:
        if not outages.is_outage(error):
            raise
        # A lease is several heartbeats long: the next one may reach the database again.
        outages.record(error)
        return
    finally:
        db.release_connection()  # a broken connection would fail the next heartbeat too
    if not updated:
        raise gone(transfer)


def gone(transfer: Transfer) -> errors.Gone:
    """Return the error for a client whose transfer was ended while it sent data."""
    return errors.Gone(
        f"Image {transfer.image_id} could not be found after upload. It may have been "
        "deleted during the upload; the data was discarded."
    )


def is_silent(transfer: Transfer) -> bool:
    """Return whether the transfer's process is dead, or its heartbeat is older than a lease."""
    lease = timedelta(seconds=settings.IMAGECATALOG_LEASE_SECONDS)
    return transfer.heartbeat_at < timezone.now() - lease or is_dead(transfer.worker)
