"""Begin, claim, end and clean up transfers.

The statuses saving, uploading and importing of an image belong to an open transfer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from images import errors, outages, stores
from images.access import Caller
from images.events import record
from images.failpoints import failpoint
from images.models import (
    OPEN_STATUSES,
    READABLE_STATUSES,
    TRANSIENT_STATUSES,
    Image,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
    writing,
)
from images.models.statements import Placeholders, Statement, compiled_update
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import chunks, sources, targets, tasks
from images.transfers.heartbeat import gone, is_silent
from images.transfers.keys import key_of
from images.transfers.targets import Targets
from images.transfers.tasks import Task
from images.transfers.workers import is_dead, this_worker
from images.transitions import follow, locked

log = logging.getLogger(__name__)

# Carried out by a background worker.
FETCHED = (
    TransferKind.WEB_DOWNLOAD,
    TransferKind.LOCATION,
    TransferKind.IMAGE_COPY,
)
# The data of a resumable upload is in its chunks only, that of a location is not stored.
WITHOUT_OBJECT = (TransferKind.STAGE, TransferKind.LOCATION)


def begin(
    image: Image,
    kind: TransferKind,
    store: stores.Store,
    actor: Caller,
    *,
    expected: int | None,
    status_on_failure: Status,
    checksum: str | None = None,
    digests: Mapping[str, str] | None = None,
    source: str = "",
    secrets: Mapping[str, str] = sources.NO_SECRETS,
    metadata: str = "",
    reserved: int | None = None,
    import_method: str = "",
    task: Task | None = None,
    wanted: Targets | None = None,
) -> Transfer:
    """Create and return a transfer for a locked image, with a key that is never reused.

    A web download, a new location, a copy to another store, and any transfer with a ``task``
    waits until a background worker claims it; any other transfer runs in this process. The data
    of a task goes to the stores ``wanted``, of which ``store`` is the first. ``expected``
    (bytes), ``checksum`` (MD5) and ``digests`` (algorithm -> hexadecimal) are claims about the
    data; ``source`` is the URL of the data, and ``secrets`` are the secrets for reading it, by
    name; ``metadata`` is kept for the client of a resumable upload; ``reserved`` is the number
    of bytes that ``quota.reserve`` returned; ``status_on_failure`` is the status that a failure
    gives the image; ``import_method`` is the method by which the data is imported.
    """
    transfer_id, waits = uuid4(), kind in FETCHED or task is not None
    transfer = Transfer(
        id=transfer_id,
        image=image,
        kind=kind,
        store=store.id,
        key=key_of(image.pk, transfer_id),
        status=TransferStatus.WAITING if waits else TransferStatus.RUNNING,
        status_on_failure=status_on_failure,
        worker="" if waits else this_worker(),
        request_id=actor.request_id,
        bytes_expected=expected,
        bytes_reserved=reserved,
        checksum=checksum,
        expected_digests=dict(digests or {}),
        **sources.columns(source, secrets),
        metadata=metadata,
        import_method=task.method if task else import_method,
        task_id=task.id if task else None,
        task_user=task.user if task else "",
        task_project=task.project if task else None,
        task_request=dict(task.request) if task else None,
        deadline=None if waits else deadline(kind),
    )
    writing.insert(transfer)
    if wanted:
        targets.create(transfer, wanted)
    return transfer


def deadline(kind: str) -> datetime:
    """Return the time by which a transfer of this kind must end if it begins or resumes now."""
    seconds = settings.IMAGECATALOG_TRANSFER_SECONDS
    if kind == TransferKind.STAGE:  # a client can pause it
        seconds = settings.IMAGECATALOG_UPLOAD_EXPIRY
    return timezone.now() + timedelta(seconds=seconds)


def claim(transfer: Transfer) -> bool:
    """Mark a waiting transfer as running in this process; return whether it was still waiting."""
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


def cancel_waiting(transfer: Transfer, error: errors.ImageError) -> bool:
    """End a waiting transfer as failed with this error; return whether it was still waiting.

    A waiting transfer has no data to remove.
    """
    cancelled = _waiting(transfer).update(
        status=TransferStatus.FAILED,
        cleaned=True,
        ended_at=timezone.now(),
        error_code=error.code,
        error=str(error),
        **sources.ERASED,
    )
    return bool(cancelled)


def _waiting(transfer: Transfer) -> QuerySet[Transfer]:
    return Transfer.objects.filter(pk=transfer.pk, status=TransferStatus.WAITING)


def fail(transfer: Transfer, error: BaseException, actor: Caller) -> bool:
    """End a transfer as failed with this error, and remove the data that it has stored.

    Its image gets the status that the transfer names for a failure: queued, killed, or
    uploading if staged data is kept. Idempotent. Returns whether the transfer was still open.
    """
    running = abort(transfer, error, actor)
    clean(transfer, CircuitBreaker(), abandoned=transfer.worker != this_worker())
    return running


def abort(
    transfer: Transfer,
    error: BaseException,
    actor: Caller,
    *,
    if_unchanged: bool = False,
) -> bool:
    """End a transfer as failed and set its image to the status on failure, but leave its data.

    No store is asked. If the error is ServerStopping or an outage of the database, an import or
    fetch by a background worker is queued again, in the same transaction. ``if_unchanged``: abort
    only if the transfer's heartbeat (for a resumable upload, its deadline) has not changed since
    ``transfer`` was read. Returns True if the transfer was ended by this call, otherwise False.
    """
    interrupted = isinstance(error, errors.ServerStopping) or outages.is_outage(error)
    repeated = interrupted and _is_fetched(transfer)
    if repeated and transfer.status_on_failure == Status.KILLED:
        transfer.status_on_failure = Status.QUEUED
    code = error.code if isinstance(error, errors.ImageError) else "internal-error"
    message = (
        str(error)
        if isinstance(error, errors.ImageError)
        else "The service failed while it received the data."
    )
    with locked(transfer.image_id, deleted=True) as image:
        running = _end(transfer, TransferStatus.FAILED, code, message, if_unchanged)
        if running:
            _apply_status_on_failure(image, transfer, actor, message)
            if repeated:
                _queue_again(image, transfer, actor)
    failpoint("data.ended")
    return running


def _apply_status_on_failure(
    image: Image, transfer: Transfer, actor: Caller, reason: str
) -> None:
    if image.status not in TRANSIENT_STATUSES:
        return
    if transfer.keeps_status:
        return  # the status belongs to a transfer that began later
    if transfer.status_on_failure == Status.IMPORTING:
        return  # the status belongs to the resumable upload, whose data is still staged
    mark = image.mark_requeued
    if transfer.status_on_failure == Status.KILLED:
        mark = image.mark_killed
    if transfer.status_on_failure == Status.UPLOADING:
        if not _keep_staged_data(image):
            return
        mark = image.mark_restaged
    elif transfer.import_method and not image.pinned:
        image.size = None  # of the data that is given up
    detail = {"transfer": str(transfer.pk), "received": transfer.bytes_received}
    follow(image, mark, "fail", actor, also=["size"], reason=reason, detail=detail)


def _keep_staged_data(image: Image) -> bool:
    """Set a new deadline for the staged data of an image whose import has failed.

    Returns True if that is done, and False if the image is not importing or has no staged data.
    """
    if image.status != Status.IMPORTING:
        return False
    # Its import may have reserved the bytes of several copies.
    kept = _staged(image).update(
        deadline=deadline(TransferKind.STAGE), bytes_reserved=F("bytes_received")
    )
    return bool(kept)


def _staged(image: Image) -> QuerySet[Transfer]:
    return Transfer.objects.staging().filter(image=image)


def _is_fetched(transfer: Transfer) -> bool:
    """Return whether a transfer is an import or fetch by a background worker."""
    return transfer.kind in FETCHED or transfer.task_id is not None


def _queue_again(image: Image, transfer: Transfer, actor: Caller) -> None:
    """Queue a new transfer that repeats ``transfer``, unless the image does not wait for it any more."""
    task = tasks.of(transfer)
    waits_in: tuple[str, ...] = (Status.QUEUED, Status.UPLOADING)
    if transfer.keeps_status:
        waits_in = READABLE_STATUSES
    if image.status not in waits_in:
        return
    # On this instance, the interruption and the plugins of an import have changed some values.
    row = Transfer.objects.get(pk=transfer.pk)
    if task:
        Transfer.objects.filter(pk=transfer.pk).update(task_id=None)
    owns_status = task or transfer.kind == TransferKind.LOCATION
    if owns_status and not transfer.keeps_status:
        follow(image, image.mark_importing, "import", actor)
    queued = begin(
        image,
        TransferKind(transfer.kind),
        stores.get(transfer.store),
        actor,
        expected=row.bytes_expected,
        status_on_failure=Status(row.status_on_failure),
        checksum=row.checksum,
        digests=row.expected_digests,
        source=sources.url(transfer),
        secrets=sources.secrets(transfer),
        reserved=transfer.bytes_reserved,
        import_method=transfer.import_method,
        task=task,
        wanted=targets.wanted(transfer),
    )
    if transfer.kind == TransferKind.IMPORT:
        _staged(image).update(bytes_reserved=transfer.bytes_reserved)
    if transfer.kind == TransferKind.WEB_DOWNLOAD and not task:
        record_fetch_request(image, queued, actor)


def record_fetch_request(image: Image, transfer: Transfer, actor: Caller) -> None:
    """Write into the history of a locked image that a web download waits for a worker."""
    detail = {"transfer": str(transfer.pk), "size": transfer.bytes_expected}
    record(image, "request_copy", actor, before=image.status, detail=detail)


def _end(
    transfer: Transfer,
    status: TransferStatus,
    code: str = "",
    message: str = "",
    if_unchanged: bool = False,
) -> bool:
    running = Transfer.objects.begun().filter(pk=transfer.pk)
    if if_unchanged and transfer.kind == TransferKind.STAGE:
        # A request without bytes renews the heartbeat; only received bytes move the deadline.
        running = running.filter(deadline=transfer.deadline)
    elif if_unchanged:
        running = running.filter(heartbeat_at=transfer.heartbeat_at)
    now = timezone.now()
    fields = {"status": status, "ended_at": now, "error_code": code, "error": message}
    if transfer.kind != TransferKind.STAGE and not is_dead(transfer.worker):
        # The writer may only have stalled. Give the writer one more lease period to notice and
        # clean up.
        fields["heartbeat_at"] = now
    fields |= sources.ERASED
    return bool(running.update(bytes_received=transfer.bytes_received, **fields))


def finish(transfer: Transfer) -> None:
    """Mark a transfer as done, while its image is locked. Raises Gone if it was not running."""
    if not _end(transfer, TransferStatus.DONE):
        raise gone(transfer)
    if transfer.task_id:
        targets.finish(transfer)


def cancel(image: Image) -> None:
    """Mark the open transfers of a locked image as failed, because the image is deleted."""
    placeholders = Placeholders()
    values = placeholders.add(image.pk), placeholders.add(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(*placeholders.fill_in(_cancellation(*values)))


@cache
def _cancellation(image_id: str, now: datetime) -> Statement:
    # Compiled once with placeholders, because every deletion of an image executes it.
    return compiled_update(
        Transfer.objects.filter(image=image_id, status__in=OPEN_STATUSES),
        status=TransferStatus.FAILED,
        ended_at=now,
        error_code=errors.Gone.code,
        error="The image was deleted.",
        **sources.ERASED,
    )


def clean(transfer: Transfer, breaker: CircuitBreaker, *, abandoned: bool) -> None:
    """Remove the data of a failed transfer from its stores, unless they are unavailable.

    ``breaker`` reports which stores are unavailable. Data that cannot be removed now is removed
    by the background worker later. ``abandoned`` says that the writer may have died, or have
    failed to remove its partial data.

    The transfer's row is read first. If it says that the transfer is done, nothing is removed:
    the response to its commit was lost, and its objects belong to the image.
    """
    failed = Transfer.objects.filter(pk=transfer.pk, status=TransferStatus.FAILED)
    if not failed.exists():
        return
    is_stored = transfer.kind not in WITHOUT_OBJECT
    if is_stored and not targets.remove(transfer, breaker, abandoned=abandoned):
        return
    chunks.remove(transfer, breaker, arriving=is_silent(transfer))
    failpoint("data.cleaned")
    if not transfer.chunks.exists():
        failed.update(cleaned=True)
