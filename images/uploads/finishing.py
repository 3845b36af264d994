"""Import of complete uploads into their images, by a request or by the background worker."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Max, Q, QuerySet
from django.utils import timezone

from images import db, errors, lifecycle, outages, stores
from images.access import Caller, operator
from images.duty import Duty
from images.failpoints import failpoint
from images.models import (
    Image,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
)
from images.transfers import backoff, chunks, heartbeat, leases
from images.transitions import follow, locked

log = logging.getLogger(__name__)

RETRY = timedelta(seconds=1)  # doubled with each attempt


def finish(upload: Transfer, actor: Caller) -> None:
    """Import the data of a complete upload into its image: uploading -> importing -> active.

    Each attempt is a transfer of its own. If it fails for a temporary reason, the staged data
    is kept, and the background worker tries again until the upload's deadline. If it fails for
    another reason, the upload has failed, and the image is queued again.

    Raises Locked while another import is running, Conflict if the upload is not complete or has
    ended, and the errors of ``lifecycle.upload`` for invalid data.
    """
    store = stores.get_for_location(upload.store)
    with locked(upload.image_id, actor) as image:
        upload = _to_importing(image, upload, actor)
        attempt = leases.begin(
            image,
            TransferKind.IMPORT,
            store,
            actor,
            expected=upload.bytes_expected,
            status_on_failure=Status.IMPORTING,
            digests=upload.expected_digests,
            reserved=upload.bytes_reserved,
        )
    failpoint("import.begun")
    db.release_connection()
    lifecycle.receive_staged(image, attempt, chunks.read(upload), actor, upload)


def _to_importing(image: Image, upload: Transfer, actor: Caller) -> Transfer:
    """Set the status of a locked image to importing, and return the upload, read again.

    Raises Conflict if the upload is not complete or has ended, Locked while another import of
    its data is running.
    """
    complete = Transfer.objects.filter(
        pk=upload.pk,
        status=TransferStatus.RUNNING,
        bytes_received=F("bytes_expected"),
    ).first()
    if complete is None:
        raise errors.Conflict(
            "The upload has ended or is not complete. Send the rest of the data, or create "
            "a new upload."
        )
    if image.status == Status.UPLOADING:
        follow(image, image.mark_importing, "import", actor)
        complete.heartbeat_at = timezone.now()
        complete.deadline = leases.deadline(TransferKind.IMPORT)
        complete.save(update_fields=["heartbeat_at", "deadline"])
    elif _attempts(complete).filter(status=TransferStatus.RUNNING).exists():
        raise errors.Locked(
            "The data of the upload is being imported already. Wait until the image is active."
        )
    return complete


def _attempts(upload: Transfer) -> QuerySet[Transfer]:
    return Transfer.objects.filter(
        image=upload.image_id,
        kind=TransferKind.IMPORT,
        started_at__gte=upload.started_at,
    )


def finish_waiting(actor: Caller | None = None) -> list[str]:
    """Import complete uploads that no request is importing; return the ids of their images.

    After a failed attempt, the next attempt waits for a delay that grows each time.
    """
    actor = actor or operator("worker")
    attempt = Q(
        image__transfers__kind=TransferKind.IMPORT,
        image__transfers__started_at__gte=F("started_at"),
    )
    running = attempt & Q(image__transfers__status=TransferStatus.RUNNING)
    waiting: QuerySet[Any] = Transfer.objects.filter(
        kind=TransferKind.STAGE,
        import_method="",
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
    except Exception as error:  # an unexpected error must not stop the other uploads
        outages.report(error, log, "upload %s cannot be finished", upload.pk)
        return False
    return True


DUTIES = (Duty("finish uploads", finish_waiting, may_block=True),)
