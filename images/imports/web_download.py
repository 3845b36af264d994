"""A background worker fetches an image's data from a URL: web downloads and new locations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from django.db.models import Value
from django.db.models.functions import Coalesce

from images import db, errors, lifecycle, logs, stores
from images.access import Caller, operator
from images.failpoints import failpoint
from images.models import Image, Status, Transfer, TransferKind, TransferStatus
from images.transfers import leases
from images.transitions import follow, locked


class Waiting(NamedTuple):
    """The transfer id and the image's owner of a fetch that no worker has claimed yet."""

    transfer_id: UUID
    owner: str  # of the image; empty: no owner


def next_waiting(begun: Collection[UUID], busy: Collection[str]) -> Waiting | None:
    """Return the oldest fetch that waits for a worker; None if there is none.

    ``begun`` are transfer ids and ``busy`` are owners that are left out.
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


def fetch(transfer_id: UUID, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Carry out a web download: queued -> saving -> active, or on failure killed.

    The data of a new location is only read: importing -> active, or on failure queued. Returns
    False when another worker has begun it or the image no longer waits for it. A pinned image
    is queued instead of killed, because the same bytes can still be uploaded. When the worker
    is ``stopping``, the fetch waits for the next worker. Raises every error that prevents it;
    the image has then left ``saving`` or ``importing``.
    """
    transfer = Transfer.objects.get(pk=transfer_id)
    actor = replace(operator("worker"), request_id=transfer.request_id)
    logs.bind(actor.log_context)
    image = _claim(transfer, actor)
    if image is None:
        return False
    failpoint(f"{TransferKind(transfer.kind).name.lower()}.claimed")
    db.release_connection()
    lifecycle.receive(image, transfer, _blocks(transfer, stopping), actor)
    return True


def _claim(transfer: Transfer, actor: Caller) -> Image | None:
    located = transfer.kind == TransferKind.LOCATION
    with locked(transfer.image_id, deleted=True) as image:
        if image.status != (Status.IMPORTING if located else Status.QUEUED):
            leases.cancel_waiting(
                transfer,
                "The image is not queued any more: another request has changed it.",
            )
            return None
        if image.pinned:  # the same bytes can still be uploaded later
            transfer.status_on_failure = Status.QUEUED
        if not leases.claim(transfer):
            return None
        if not located:
            follow(image, image.mark_saving, "copy", actor)
    return image


def _blocks(transfer: Transfer, stopping: Callable[[], bool]) -> Iterator[bytes]:
    for block in stores.HTTP.open(transfer.source):
        if stopping():
            transfer.status_on_failure = Status.QUEUED
            raise errors.ServerStopping(
                "The worker is being stopped. The data is fetched again when it is back."
            )
        yield block
        if transfer.kind == TransferKind.WEB_DOWNLOAD:
            failpoint("web_download.streaming")
    if transfer.kind == TransferKind.WEB_DOWNLOAD:
        failpoint("web_download.received")
