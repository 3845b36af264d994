"""Transfers: they begin, are claimed, end, and are cleaned up. Who owns a transient status."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from images import errors, stores
from images.access import Caller
from images.failpoints import failpoint
from images.models import (
    OPEN_STATUSES,
    TRANSIENT_STATUSES,
    Image,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
)
from images.transfers import chunks, object_removal
from images.transfers.heartbeat import gone, is_silent
from images.transfers.object_removal import Failures
from images.transfers.workers import is_dead, this_worker
from images.transitions import follow, locked, record

log = logging.getLogger(__name__)


def begin(
    image: Image,
    kind: TransferKind,
    store: stores.Store,
    actor: Caller,
    *,
    expected: int | None,
    status_on_failure: Status,
    checksum: str | None = None,
    source: str = "",
    metadata: str = "",
) -> Transfer:
    """Open an attempt on a locked image. Its key is its own and never used again.

    With a ``source`` it waits for a worker that claims it.
    """
    attempt = uuid4()
    return Transfer.objects.create(
        id=attempt,
        image=image,
        kind=kind,
        store=store.id,
        key=key_of(image.pk, attempt),
        status=TransferStatus.WAITING if source else TransferStatus.RUNNING,
        status_on_failure=status_on_failure,
        worker="" if source else this_worker(),
        request_id=actor.request_id,
        bytes_expected=expected,
        checksum=checksum,
        source=source,
        metadata=metadata,
        deadline=None if source else deadline(kind),
    )


def deadline(kind: str) -> datetime:
    """Until when an attempt has time that begins, or is continued, now."""
    seconds = settings.IMAGECATALOG_TRANSFER_SECONDS
    if kind == TransferKind.STAGE:  # it may pause
        seconds = settings.IMAGECATALOG_UPLOAD_EXPIRY
    return timezone.now() + timedelta(seconds=seconds)


def key_of(image_id: str, attempt: UUID) -> str:
    """Where the bytes of an attempt go: a name that says whose they are, and is new."""
    return f"{image_id[:2].lower()}/{image_id}.{attempt.hex}"


def claim(transfer: Transfer) -> bool:
    """Take an attempt that waits, for this process; False when another one has it."""
    transfer.status = TransferStatus.RUNNING
    transfer.worker = this_worker()
    transfer.heartbeat_at = timezone.now()
    transfer.deadline = deadline(transfer.kind)
    return bool(
        _waiting(transfer).update(
            status=transfer.status,
            status_on_failure=transfer.status_on_failure,
            worker=transfer.worker,
            heartbeat_at=transfer.heartbeat_at,
            deadline=transfer.deadline,
        )
    )


def cancel_waiting(transfer: Transfer, reason: str) -> None:
    """End an attempt that waits; it has left nothing anywhere."""
    _waiting(transfer).update(
        status=TransferStatus.FAILED,
        cleaned=True,
        ended_at=timezone.now(),
        error_code=errors.Conflict.code,
        error=reason,
    )


def _waiting(transfer: Transfer) -> QuerySet[Transfer]:
    return Transfer.objects.filter(pk=transfer.pk, status=TransferStatus.WAITING)


def fail(transfer: Transfer, error: BaseException, actor: Caller) -> bool:
    """End the attempt: its bytes go, and the image returns to its resting status.

    Safe to call again, and for an attempt that had lost its image before: then False.
    """
    running = abort(transfer, error, actor)
    clean(transfer, Failures())
    return running


def abort(
    transfer: Transfer,
    error: BaseException,
    actor: Caller,
    *,
    if_unchanged: bool = False,
) -> bool:
    """End the attempt, as ``fail`` does, but leave its bytes: no store is asked.

    A copy whose worker is being stopped waits again, from the same transaction on.

    ``if_unchanged``: only when its heartbeat (of a staged upload: its deadline) is still as it
    was read.
    """
    code = error.code if isinstance(error, errors.ImageError) else "internal-error"
    sentence = (
        str(error)
        if isinstance(error, errors.ImageError)
        else "The service failed while it received the data."
    )
    with locked(transfer.image_id, deleted=True) as image:
        running = _end(transfer, TransferStatus.FAILED, code, sentence, if_unchanged)
        if running:
            _rest(image, transfer, actor, sentence)
            if isinstance(error, errors.ServerStopping):
                _wait_again(image, transfer, actor)
    failpoint("data.ended")
    return running


def _rest(image: Image, transfer: Transfer, actor: Caller, reason: str) -> None:
    if image.status not in TRANSIENT_STATUSES:
        return
    if transfer.status_on_failure == Status.IMPORTING:
        return  # the staged data is still there, and is what the status belongs to
    mark = image.mark_requeued
    if transfer.status_on_failure == Status.KILLED:
        mark = image.mark_killed
    follow(
        image, mark, "fail", actor, reason=reason, detail={"transfer": str(transfer.pk)}
    )


def _wait_again(image: Image, transfer: Transfer, actor: Caller) -> None:
    """What a worker leaves that is being stopped waits for the next one; senders come themselves."""
    if transfer.kind != TransferKind.WEB_DOWNLOAD or image.status != Status.QUEUED:
        return
    # As the row has it: this attempt itself was told to leave the image queued.
    status_on_failure = Transfer.objects.values_list("status_on_failure", flat=True)
    again = begin(
        image,
        TransferKind.WEB_DOWNLOAD,
        stores.get(transfer.store),
        actor,
        expected=transfer.bytes_expected,
        status_on_failure=Status(status_on_failure.get(pk=transfer.pk)),
        checksum=transfer.checksum,
        source=transfer.source,
    )
    record_fetch_request(image, again, actor)


def record_fetch_request(image: Image, transfer: Transfer, actor: Caller) -> None:
    """Leave the event that a copy of a locked image waits from now on."""
    detail = {"transfer": str(transfer.pk), "size": transfer.bytes_expected}
    record(image, "request_copy", actor, before=image.status, detail=detail)


def _end(
    transfer: Transfer,
    status: TransferStatus,
    code: str = "",
    sentence: str = "",
    if_unchanged: bool = False,
) -> bool:
    running = Transfer.objects.filter(pk=transfer.pk, status=TransferStatus.RUNNING)
    if if_unchanged and transfer.kind == TransferKind.STAGE:
        # A sender may come and bring nothing; it is bytes that move the deadline.
        running = running.filter(deadline=transfer.deadline)
    elif if_unchanged:
        running = running.filter(heartbeat_at=transfer.heartbeat_at)
    now = timezone.now()
    fields = {"status": status, "ended_at": now, "error_code": code, "error": sentence}
    if transfer.kind != TransferKind.STAGE and not is_dead(transfer.worker):
        # Its writer may only have stalled: he has a lease from now on to find out that it has
        # ended, and to clean up behind himself.
        fields["heartbeat_at"] = now
    return bool(running.update(bytes_received=transfer.bytes_received, **fields))


def finish(transfer: Transfer) -> None:
    """The attempt has won. Call with the image locked. Raises Gone when it had lost."""
    if not _end(transfer, TransferStatus.DONE):
        raise gone(transfer)


def cancel(image: Image) -> None:
    """End every attempt of a locked image that is being deleted."""
    now = timezone.now()
    Transfer.objects.filter(image=image, status__in=OPEN_STATUSES).update(
        status=TransferStatus.FAILED,
        ended_at=now,
        error_code=errors.Gone.code,
        error="The image was deleted.",
    )


def clean(transfer: Transfer, failures: Failures) -> None:
    """Remove what a failed attempt has left in its store, unless that is away.

    What stays the worker tries again later.

    Asks the row first: after a commit whose answer was lost the attempt has in truth won,
    and its bytes are the image's.
    """
    failed = Transfer.objects.filter(pk=transfer.pk, status=TransferStatus.FAILED)
    if transfer.store in object_removal.unavailable(failures) or not failed.exists():
        return
    if transfer.kind != TransferKind.STAGE:  # all that it has is in its chunks
        abandoned = transfer.worker != this_worker()
        if not object_removal.delete(
            transfer.store, transfer.key, failures, abandoned=abandoned
        ):
            return
    chunks.remove(transfer, failures, arriving=is_silent(transfer))
    failpoint("data.cleaned")
    if not transfer.chunks.exists():
        failed.update(cleaned=True)
