"""The queue of transfers that wait for a background worker: imports and new locations."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Final
from uuid import UUID

from django.db import Error
from django.db.models import Value
from django.db.models.functions import Coalesce

from images import db, errors, logs, outages
from images.access import Caller, operator
from images.duty import Waiting
from images.imports import methods, plugins, published_digests
from images.models import (
    READABLE_STATUSES,
    Image,
    Status,
    Transfer,
    TransferStatus,
)
from images.transfers import leases
from images.transfers.workers import this_worker
from images.transitions import follow, locked

RETRY_SECONDS: Final = 1.0  # between two attempts to reach the database


def next_waiting(begun: Collection[UUID], busy: Collection[str]) -> Waiting | None:
    """Return the oldest transfer that waits for a worker; None if there is none.

    Transfers with the ids ``begun``, and transfers for images of the owners ``busy``, are
    skipped.
    """
    waiting = Transfer.objects.filter(status=TransferStatus.WAITING)
    row = (
        waiting.exclude(pk__in=begun)
        .annotate(owner=Coalesce("image__owner", Value("")))
        .exclude(owner__in=busy)
        .order_by("started_at")
        .values_list("pk", "owner")
        .first()
    )
    return row and Waiting._make(row)


def carry_out(transfer_id: UUID, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Carry out a waiting transfer: the image becomes active, or is copied to other stores.

    Returns True when that is done, and False if another worker has begun the transfer, or the
    image's status has changed meanwhile. On failure the image gets the transfer's
    ``status_on_failure``; a pinned image is queued instead of killed, because the same bytes
    can still be uploaded. When ``stopping()`` becomes True, the transfer is queued again for
    the next worker; after an outage of the database, as soon as the database answers. Raises every
    error that prevents the transfer.
    """
    transfer = Transfer.objects.get(pk=transfer_id)
    actor = replace(operator("worker"), request_id=transfer.request_id)
    logs.bind(actor.log_context)
    try:
        return _carried_out(transfer, actor, stopping)
    except Error as error:
        if outages.is_outage(error):
            _queue_again(transfer, error, actor, stopping)
        raise


def _queue_again(
    transfer: Transfer, outage: Error, actor: Caller, stopping: Callable[[], bool]
) -> None:
    """Wait for the database after an outage, and queue the interrupted transfer again.

    Does nothing if this worker does not run the transfer. Stops waiting when ``stopping()`` becomes
    True: then the transfer ends with its lease.
    """
    running = Transfer.objects.filter(
        pk=transfer.pk, status=TransferStatus.RUNNING, worker=this_worker()
    )
    while not stopping():
        try:
            if running.exists():
                leases.abort(transfer, outage, actor)
            return
        except Error as error:
            if not outages.is_outage(error):
                raise
            outages.record(error)
        finally:
            db.release_connection()
        time.sleep(RETRY_SECONDS)


def _carried_out(
    transfer: Transfer, actor: Caller, stopping: Callable[[], bool]
) -> bool:
    image = _claim(transfer, actor)
    if image is None:
        return False
    db.release_connection()

    def check_running() -> None:
        if stopping():
            raise errors.ServerStopping(
                "The worker is being stopped. The import is repeated when it is back."
            )

    def until_stopped(blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            check_running()
            yield block

    def apply_plugins(blocks: Iterator[bytes]) -> plugins.ArrivingData:
        return plugins.applied(image, transfer, until_stopped(blocks), check_running)

    published_digests.expect(transfer, actor)
    methods.of(transfer).bring_in(image, transfer, apply_plugins, actor)
    return True


def _claim(transfer: Transfer, actor: Caller) -> Image | None:
    owns_status = Transfer.objects.owning().filter(pk=transfer.pk).exists()
    with locked(transfer.image_id, deleted=True) as image:
        waits_in = (Status.IMPORTING,) if owns_status else (Status.QUEUED,)
        if image.status not in (
            READABLE_STATUSES if transfer.keeps_status else waits_in
        ):
            leases.cancel_waiting(
                transfer,
                errors.Conflict(
                    "The image does not wait for it any more: another request has changed it."
                ),
            )
            return None
        # The same bytes can still be uploaded to a pinned image later.
        if image.pinned and transfer.status_on_failure == Status.KILLED:
            transfer.status_on_failure = Status.QUEUED
        if not leases.claim(transfer):
            return None
        if not (owns_status or transfer.keeps_status):
            follow(image, image.mark_saving, "copy", actor)
    return image
