"""Copies from a web address: asked for now, fetched by a background worker.

The transfer is the job: it waits, is claimed by one worker, and from then on it is an attempt
like every other, with a lease.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

from django.db.models import Value
from django.db.models.functions import Coalesce

from images import attributes, db, errors, stores
from images.access import Caller, operator
from images.attributes import Changes
from images.failpoints import failpoint
from images.lifecycle.changes import change, cleaned
from images.lifecycle.data import (
    check_cap,
    check_formats_set,
    check_pinned_size,
    receive,
    writable,
)
from images.lifecycle.location_changes import STORE
from images.models import Image, Status, Transfer, TransferKind, TransferStatus
from images.stores import urlfilter
from images.transfers import concurrency, leases, quota
from images.transitions import follow, locked, save

MAX_URL = 2048  # characters


@dataclass(frozen=True)
class Source:
    """What is to be copied, whereto, and what is said of it."""

    url: str
    size: int | None = None  # bytes
    checksum: str | None = None  # MD5, hexadecimal
    store_id: str | None = None
    resting: Status = Status.KILLED  # what the image becomes when the copy fails


def ask_source(source: Source) -> Source:
    """The same with the size that the web server tells, if it does and none is said.

    Raises Invalid for a URL that is refused, or no such store, StoreReadOnly, OverLimit.
    """
    attributes.clean_text(source.url, "source", longest=MAX_URL)
    urlfilter.check(source.url)
    writable(source.store_id)
    size = _told(source.url) if source.size is None else source.size
    check_cap(size)
    return replace(source, size=size)


def _told(url: str) -> int | None:
    db.release_connection()
    with concurrency.slot(concurrency.LOOKS):
        try:
            return stores.get(STORE).size(url)
        except errors.StoreError:
            return None  # whoever fetches it will see


def copy(image_id: str, source: Source, changes: Changes, by: Caller) -> None:
    """Change a queued image and have its data fetched: all of it or nothing.

    Raises AlreadyBegun unless it is queued, Conflict when a copy is waiting already or its size
    is not the pin's, Invalid, Forbidden, OverLimit, StoreReadOnly, NotFound.
    """
    changes, source = cleaned(changes), ask_source(source)
    with locked(image_id) as image:
        change(image, changes, by)
        request_copy(image, source, by)
    failpoint("copy.requested")


def request_copy(image: Image, source: Source, by: Caller) -> None:
    """Have the data of a locked image fetched, from a source that was asked.

    Raises AlreadyBegun, Conflict (a copy waits already, or its size is not the pin's), Invalid,
    OverLimit, StoreReadOnly.
    """
    if image.status != Status.QUEUED:
        raise errors.AlreadyBegun(
            "Attempted to update Location field for an image not in queued status."
        )
    check_formats_set(image)
    waiting = Transfer.objects.filter(image=image, status=TransferStatus.WAITING)
    if waiting.exists():
        raise errors.Conflict(f"A copy for image {image.pk} is waiting already.")
    check_pinned_size(image, source.size)
    quota.check_coming(image, source.size)
    transfer = leases.begin(
        image,
        TransferKind.COPY,
        writable(source.store_id),
        by,
        expected=source.size,
        resting=source.resting,
        checksum=source.checksum,
        source=source.url,
    )
    if not image.pinned and source.size not in (None, image.size):
        image.size = source.size
        save(image, "size")
    leases.note_copy(image, transfer, by)


class Waiting(NamedTuple):
    """A copy that nobody fetches yet."""

    transfer_id: UUID
    owner: str  # of the image; empty: everybody's


def next_copy(begun: Collection[UUID], busy: Collection[str]) -> Waiting | None:
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


def fetch_copy(transfer_id: UUID, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Fetch what waits: queued -> saving -> active, or killed. False: somebody else did.

    An image that has had data is queued again instead of killed: the same bytes may still come.

    When the worker is ``stopping`` the copy waits again, for the next one. Raises whatever
    keeps the data from arriving; the image then has left ``saving``.
    """
    transfer = Transfer.objects.get(pk=transfer_id)
    by = replace(operator("worker"), request_id=transfer.request_id)
    image = _claim(transfer, by)
    if image is None:
        return False
    failpoint("copy.claimed")
    db.release_connection()
    receive(image, transfer, _blocks(transfer, stopping), by)
    return True


def _claim(transfer: Transfer, by: Caller) -> Image | None:
    with locked(transfer.image_id, deleted=True) as image:
        if image.status != Status.QUEUED:
            leases.cancel_waiting(
                transfer, "Somebody else has brought the data meanwhile."
            )
            return None
        if image.pinned:  # its bytes were acknowledged: they can come another time
            transfer.resting_status = Status.QUEUED
        if not leases.claim(transfer):
            return None
        follow(image, image.mark_saving, "copy", by)
    return image


def _blocks(transfer: Transfer, stopping: Callable[[], bool]) -> Iterator[bytes]:
    for block in stores.get(STORE).open(transfer.source):
        if stopping():
            transfer.resting_status = Status.QUEUED
            raise errors.ServerStopping(
                "The worker is being stopped; the copy begins again when it is back."
            )
        yield block
        failpoint("copy.streaming")
    failpoint("copy.received")
