"""From staged data that is whole to an active image. Needs no client: the worker does it too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

from django.db.models import Count, F, Max, Q, QuerySet
from django.utils import timezone

from images import db, errors, lifecycle, stores
from images.access import Caller, operator
from images.duties import Duty
from images.failpoints import failpoint
from images.models import (
    ChunkStatus,
    Image,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
)
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import backoff, chunks, heartbeat, leases, object_removal
from images.transitions import follow, locked

log = logging.getLogger(__name__)

RETRY = timedelta(seconds=1)  # doubled each time


def finish(upload: Transfer, actor: Caller) -> None:
    """Make an image of an upload that is whole: uploading -> importing -> active.

    Each call is an attempt of its own. When one fails for a reason that may pass, the staged
    data stays and the worker tries again until the upload's deadline; for any other reason the
    upload fails, and the image is queued again.

    Raises Locked while another attempt is running, Conflict when the upload is not whole, and
    what ``lifecycle.upload`` raises of data that is not right.
    """
    store = stores.holding(upload.store)
    with locked(upload.image_id) as image:
        upload = _to_importing(image, upload, actor)
        attempt = leases.begin(
            image,
            TransferKind.IMPORT,
            store,
            actor,
            expected=upload.bytes_expected,
            status_on_failure=Status.IMPORTING,
        )
    failpoint("import.begun")
    db.release_connection()
    try:
        lifecycle.receive(image, attempt, _blocks(upload, store), actor, staged=upload)
    except errors.ImageError as error:
        if not _may_pass(error):
            leases.fail(upload, error, actor)
        raise
    chunks.remove(upload, CircuitBreaker())


def _to_importing(image: Image, upload: Transfer, actor: Caller) -> Transfer:
    """The upload as it is now, of an image that is importing now."""
    found = Transfer.objects.filter(
        pk=upload.pk,
        status=TransferStatus.RUNNING,
        bytes_received=F("bytes_expected"),
    )
    whole = found.first()
    if whole is None:
        raise errors.Conflict("The upload has ended, or its data is not all there.")
    if image.status == Status.UPLOADING:
        follow(image, image.mark_importing, "import", actor)
        whole.heartbeat_at = timezone.now()
        whole.deadline = leases.deadline(TransferKind.IMPORT)
        whole.save(update_fields=["heartbeat_at", "deadline"])
    elif _attempts(whole).filter(status=TransferStatus.RUNNING).exists():
        raise errors.Locked("The image is being made of the upload already.")
    return whole


def _attempts(upload: Transfer) -> QuerySet[Transfer]:
    return Transfer.objects.filter(
        image=upload.image_id,
        kind=TransferKind.IMPORT,
        started_at__gte=upload.started_at,
    )


def _blocks(upload: Transfer, store: stores.Store) -> Iterator[bytes]:
    stored = upload.chunks.filter(status=ChunkStatus.STORED)
    # By primary key they are in the order of their bytes: each is made when all before it has
    # arrived.
    for chunk in object_removal.in_batches(stored):
        db.release_connection()
        with closing(store.open(chunk.key)) as blocks:
            yield from blocks


def _may_pass(error: errors.ImageError) -> bool:
    """Another attempt at the same data may succeed."""
    if isinstance(error, errors.DataMissing | errors.StoreReadOnly):
        return False
    return isinstance(error, errors.StoreError | errors.Gone)


def finish_waiting(actor: Caller | None = None) -> list[str]:
    """Finish the uploads that are whole and that nobody finishes; ids of the images."""
    actor = actor or operator("worker")
    attempt = Q(
        image__transfers__kind=TransferKind.IMPORT,
        image__transfers__started_at__gte=F("started_at"),
    )
    running = attempt & Q(image__transfers__status=TransferStatus.RUNNING)
    waiting = Transfer.objects.filter(
        kind=TransferKind.STAGE,
        status=TransferStatus.RUNNING,
        bytes_received=F("bytes_expected"),
    ).annotate(
        attempts=Count("image__transfers", filter=attempt),
        running=Count("image__transfers", filter=running),
        last=Max("image__transfers__ended_at", filter=attempt),
    )
    due = [
        upload
        for upload in waiting.filter(running=0).order_by("heartbeat_at")
        if _is_due(upload, upload.attempts, upload.last)
    ]
    return [upload.image_id for upload in due if _finished(upload, actor)]


def _is_due(upload: Transfer, attempts: int, last: datetime | None) -> bool:
    if last is None:
        return heartbeat.is_silent(upload)
    return last + backoff.delay(RETRY, earlier=attempts - 1) < timezone.now()


def _finished(upload: Transfer, actor: Caller) -> bool:
    try:
        finish(upload, actor)
    except errors.ImageError as error:
        log.warning("upload %s is not finished", upload.pk, exc_info=error)
        return False
    except Exception:  # the others shall not wait for what nobody has thought of
        log.exception("upload %s cannot be finished", upload.pk)
        return False
    return True


DUTIES = (Duty("finish uploads", finish_waiting, may_block=True),)
