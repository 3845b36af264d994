"""Signs of life of a running transfer, and what its sender learns when it has lost its image."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from images import db, errors
from images.failpoints import failpoint
from images.models import (
    Transfer,
    TransferStatus,
)
from images.transfers.workers import is_dead

log = logging.getLogger(__name__)


def keep_alive(transfer: Transfer, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks; keeps the lease and the byte count fresh while they pass.

    Raises Gone as soon as the attempt is not the image's any more.
    """
    due = time.monotonic() + interval()
    for block in blocks:
        transfer.bytes_received += len(block)
        if time.monotonic() > due:
            send(transfer)
            due = time.monotonic() + interval()
        yield block
        failpoint("data.streaming")


def interval() -> float:
    """Seconds between two signs of life: several fit into a lease, as one may be lost."""
    return settings.IMAGECATALOG_LEASE_SECONDS / 6


def send(transfer: Transfer) -> None:
    """Say that the attempt is alive. Raises Gone when it is not the image's any more."""
    alive = Transfer.objects.filter(pk=transfer.pk, status=TransferStatus.RUNNING)
    try:
        fresh = alive.update(
            heartbeat_at=timezone.now(), bytes_received=transfer.bytes_received
        )
        db.release_connection()
    except OperationalError:
        # A lease is several beats long: the database may be back for the next one.
        log.warning("transfer %s could not beat", transfer.pk, exc_info=True)
        return
    if not fresh:
        raise gone(transfer)


def gone(transfer: Transfer) -> errors.Gone:
    """What the sender of data is told when the image went away meanwhile."""
    return errors.Gone(
        f"Image {transfer.image_id} could not be found after upload. It may have been "
        "deleted during the upload; the data was discarded."
    )


def is_silent(transfer: Transfer) -> bool:
    """Nobody works on it: the process is gone, or was not heard of for a lease."""
    lease = timedelta(seconds=settings.IMAGECATALOG_LEASE_SECONDS)
    return transfer.heartbeat_at < timezone.now() - lease or is_dead(transfer.worker)
