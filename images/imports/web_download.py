"""Web download: a background worker fetches an image's data from a URL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from django.db.models import Value
from django.db.models.functions import Coalesce

from images import db, errors, lifecycle, stores
from images.access import Caller, operator
from images.failpoints import failpoint
from images.models import Image, Status, Transfer, TransferStatus
from images.transfers import leases
from images.transitions import follow, locked


class Waiting(NamedTuple):
    """A copy that nobody fetches yet."""

    transfer_id: UUID
    owner: str  # of the image; empty: everybody's


def next_waiting(begun: Collection[UUID], busy: Collection[str]) -> Waiting | None:
    """The oldest copy that waits, was not ``begun``, and has an owner who is not ``busy``."""
    waiting = Transfer.objects.filter(status=TransferStatus.WAITING)
    found = (
        waiting.exclude(pk__in=begun)
        .annotate(owner=Coalesce("image__owner", Value("")))
        .exclude(owner__in=busy)
        .order_by("started_at")
        .values_list("pk", "owner")
        .first()
    )
    return found and Waiting._make(found)


def fetch(transfer_id: UUID, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Fetch what waits: queued -> saving -> active, or killed. False: somebody else did.

    An image that has had data is queued again instead of killed: the same bytes may still come.

    When the worker is ``stopping`` the copy waits again, for the next one. Raises whatever
    keeps the data from arriving; the image then has left ``saving``.
    """
    transfer = Transfer.objects.get(pk=transfer_id)
    actor = replace(operator("worker"), request_id=transfer.request_id)
    image = _claim(transfer, actor)
    if image is None:
        return False
    failpoint("web_download.claimed")
    db.release_connection()
    lifecycle.receive(image, transfer, _blocks(transfer, stopping), actor)
    return True


def _claim(transfer: Transfer, actor: Caller) -> Image | None:
    with locked(transfer.image_id, deleted=True) as image:
        if image.status != Status.QUEUED:
            leases.cancel_waiting(
                transfer, "Somebody else has brought the data meanwhile."
            )
            return None
        if image.pinned:  # its bytes were acknowledged: they can come another time
            transfer.status_on_failure = Status.QUEUED
        if not leases.claim(transfer):
            return None
        follow(image, image.mark_saving, "copy", actor)
    return image


def _blocks(transfer: Transfer, stopping: Callable[[], bool]) -> Iterator[bytes]:
    for block in stores.HTTP.open(transfer.source):
        if stopping():
            transfer.status_on_failure = Status.QUEUED
            raise errors.ServerStopping(
                "The worker is being stopped; the copy begins again when it is back."
            )
        yield block
        failpoint("web_download.streaming")
    failpoint("web_download.received")
