"""The heartbeat of a running transfer or job, which also notices when it was ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import Error
from django.db.models import QuerySet
from django.utils import timezone

from images import db, errors, outages, process_metrics
from images.failpoints import failpoint
from images.models import Job, Transfer, TransferStatus
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
    return every(interval(), partial(send, transfer))


def every(seconds: float, act: Callable[[], object]) -> Callable[[], bool]:
    """Return a function that calls ``act`` if it is due, and returns whether it was due.

    It is first due after ``seconds``, and again whenever ``seconds`` have passed since the last
    call ended.
    """
    due = time.monotonic() + seconds

    def attempt() -> bool:
        nonlocal due
        if time.monotonic() <= due:
            return False
        act()
        due = time.monotonic() + seconds
        return True

    return attempt


def interval() -> float:
    """Return the seconds between two heartbeats: a sixth of a lease, because some can be lost."""
    return settings.IMAGECATALOG_LEASE_SECONDS / 6


def lease_end() -> datetime:
    """Return the time until which a lease that begins or is extended now lasts."""
    return timezone.now() + timedelta(seconds=settings.IMAGECATALOG_LEASE_SECONDS)


def send(transfer: Transfer) -> None:
    """Save a heartbeat and the byte count. Raises Gone when the transfer is no longer running.

    If the database does not answer, the heartbeat is skipped.
    """
    running = Transfer.objects.filter(pk=transfer.pk, status=TransferStatus.RUNNING)
    if not renew(running, bytes_received=transfer.bytes_received):
        raise gone(transfer)


def renew(running: QuerySet[Any], **progress: object) -> bool:
    """Save a heartbeat, and the columns ``progress``; return whether the row is still running.

    ``running`` selects the row of a transfer or a job while it is running. If the database does not
    answer, the heartbeat is skipped, and the result is True.
    """
    try:
        return bool(running.update(heartbeat_at=timezone.now(), **progress))
    except Error as error:
        if not outages.is_outage(error):
            raise
        # A lease is several heartbeats long: the next one may reach the database again.
        outages.record(error)
        return True
    finally:
        db.release_connection()  # a broken connection would fail the next heartbeat too


def gone(transfer: Transfer) -> errors.Gone:
    """Return the error for a client whose transfer was ended while it sent data."""
    return errors.Gone(
        f"Image {transfer.image_id} could not be found after upload. It may have been "
        "deleted during the upload; the data was discarded."
    )


def is_silent(row: Transfer | Job) -> bool:
    """Return whether the process of a transfer or job is dead, or its heartbeat older than a lease."""
    lease = timedelta(seconds=settings.IMAGECATALOG_LEASE_SECONDS)
    return row.heartbeat_at < timezone.now() - lease or is_dead(row.worker)
