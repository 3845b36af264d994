"""The bytes of a resumable upload: cut into chunks, each of which counts once it is durable."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import chain
from uuid import uuid4

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from images import db, errors, stores
from images.access import Caller
from images.failpoints import failpoint
from images.formats import Inspector, inspection
from images.models import (
    ChunkStatus,
    Image,
    Transfer,
    TransferStatus,
    UploadChunk,
)
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import chunks, heartbeat, leases
from images.transfers.workers import this_worker
from images.transitions import locked
from images.uploads.finishing import finish
from images.uploads.staging import find, going_on

log = logging.getLogger(__name__)

# So much is lost at most with a process that dies; a slow sender's chunks are smaller, as
# each of them is also the upload's heartbeat.
CHUNK = 64 << 20  # bytes

# Each chunk is a file and a row, so there are not more of them than MiB; but for so many, as
# slow senders and broken requests make small ones.
SMALL_CHUNKS = 10_000
SMALL = 1 << 20  # bytes


def append(
    image_id: str,
    upload_id: str,
    offset: int,
    blocks: Iterable[bytes],
    actor: Caller,
    *,
    announced: int | None = None,
) -> Transfer:
    """Add the bytes from ``offset`` on; with the last one the image is made and active.

    However the sender's stream ends, what has arrived is kept. ``announced`` is the number of
    bytes to come, where it is known. Returns the upload as it is at the end.

    Raises Conflict (it goes on at another byte), Locked (somebody else is sending), OverLimit
    (more than the upload was to have, or in too many chunks), NotFound, Gone, StoreError,
    ContentRefused as soon as that is certain, what ``finish`` raises, and what the sender's
    stream raises.
    """
    with locked(image_id) as image:
        upload = going_on(image_id, upload_id)
        stream = _Stream(iter(blocks), upload, offset, announced, image)
        chunk = _take_turn(upload)
    failpoint("chunk.begun")
    chunks.remove_each(_lost(upload), CircuitBreaker(), abandoned=True)
    db.release_connection()
    try:
        # It stops within its generator, which would keep a block until garbage is collected.
        with closing(stream.blocks):
            _receive(upload, chunk, stream)
    except errors.ContentRefused as error:
        leases.fail(upload, error, actor)
        raise
    if not stream.room:
        failpoint("import.due")
        finish(upload, actor)
    elif stream.broken:
        raise stream.broken
    return find(image_id, upload_id)


class _Stream:
    """The sender's blocks. Where they break off they just end, and ``broken`` says why."""

    def __init__(
        self,
        blocks: Iterator[bytes],
        upload: Transfer,
        offset: int,
        announced: int | None,
        image: Image,
    ) -> None:
        """Raises Conflict and OverLimit for what does not fit to the upload."""
        assert upload.bytes_expected is not None
        self.room = upload.bytes_expected - upload.bytes_received
        self.announced = announced
        self.broken: errors.ImageError | None = None
        if offset != upload.bytes_received:
            raise errors.Conflict(
                f"The upload goes on at byte {upload.bytes_received}, not at {offset}."
            )
        if not self.room:
            raise errors.Conflict("All data of the upload has arrived already.")
        if announced is not None and announced > self.room:
            raise _too_much(upload)
        self.blocks = self._checked(blocks, upload)
        self.inspection: Inspector | None = None
        if not offset:
            # Wrong data is refused with its first MiB, not when all has been sent in vain.
            formats = image.disk_format or "", image.container_format or ""
            self.inspection = inspection(*formats)

    def _checked(
        self, blocks: Iterator[bytes], upload: Transfer
    ) -> Generator[bytes, None, None]:
        try:
            for block in blocks:
                if len(block) > self.room:
                    raise _too_much(upload)
                self.room -= len(block)
                if self.announced is not None:
                    self.announced -= len(block)
                if self.inspection:
                    self.inspection.feed(block)
                yield block
        except (errors.BodyIncomplete, errors.ServerStopping) as error:
            self.broken = error

    def has_more(self) -> bool:
        """As far as it is known without waiting."""
        return bool(self.room and self.announced != 0 and not self.broken)


def _too_much(upload: Transfer) -> errors.OverLimit:
    return errors.OverLimit(
        f"More data than the {upload.bytes_expected} bytes that the upload is to have."
    )


def _receive(upload: Transfer, chunk: UploadChunk, stream: _Stream) -> None:
    mine: UploadChunk | None = chunk
    put = False
    try:
        store = stores.holding(upload.store)
        while mine and (first := next(stream.blocks, None)) is not None:
            _keep_open(upload)
            put = True
            size = _put(store, mine.key, first, stream)
            failpoint("chunk.stored")
            mine = _count(mine, size, stream.has_more())
            put = False
            failpoint("chunk.counted")
            db.release_connection()
            # Only the first chunk is looked into now; all is inspected at the end.
            stream.inspection = None
    except errors.StoreError as error:
        if mine and not _mine(mine).exists():
            # The store fails because its half-written object was cleaned away.
            raise _ended() from error
        raise
    finally:
        if mine is not None:
            _give_turn(mine, put)


def _keep_open(upload: Transfer) -> None:
    """Its last moment is no reason to end it while bytes arrive, which count a little later."""
    soon = timezone.now() + timedelta(seconds=settings.IMAGECATALOG_LEASE_SECONDS)
    if upload.deadline is None or upload.deadline >= soon:
        return
    late = Transfer.objects.filter(pk=upload.pk, deadline__lt=soon)
    late.update(deadline=soon)
    db.release_connection()


def _put(store: stores.Store, key: str, first: bytes, stream: _Stream) -> int:
    """Put the next chunk; its size in bytes."""
    size = 0

    def chunk() -> Iterator[bytes]:
        nonlocal size
        due = time.monotonic() + heartbeat.interval()
        for block in chain([first], stream.blocks):
            size += len(block)
            yield block
            if stream.room and (size >= CHUNK or time.monotonic() > due):
                return

    store.put(key, chunk())
    return size


def _take_turn(upload: Transfer) -> UploadChunk:
    """The right to write, with the image locked.

    Raises Locked when a living one has it, OverLimit when there are too many chunks already.
    """
    arriving = upload.chunks.filter(status=ChunkStatus.ARRIVING)
    if arriving.exists():
        if not heartbeat.is_silent(upload):
            raise errors.Locked(
                "Another request is sending data to this upload. Try again in a moment."
            )
        arriving.update(status=ChunkStatus.LOST)
    _check_chunks(upload)
    upload.worker, upload.heartbeat_at = this_worker(), timezone.now()
    upload.save(update_fields=["worker", "heartbeat_at"])
    return _next(upload, upload.bytes_received)


def _check_chunks(upload: Transfer) -> None:
    # Asked of each request: within one they are cut by size and time, and so are never many.
    most = SMALL_CHUNKS + upload.bytes_received // SMALL
    if upload.chunks.filter(status=ChunkStatus.STORED).count() >= most:
        raise errors.OverLimit(
            f"The data has come in {most} chunks, which are too small on average. Give the "
            "upload up and begin again, with at least 1 MiB in each request."
        )


def _next(upload: Transfer, start: int) -> UploadChunk:
    key = leases.key_of(upload.image_id, uuid4())
    return UploadChunk.objects.create(transfer=upload, start=start, key=key)


def _lost(upload: Transfer) -> Iterable[UploadChunk]:
    lost = UploadChunk.objects.filter(transfer=upload, status=ChunkStatus.LOST)
    return lost.select_related("transfer")


def _count(chunk: UploadChunk, size: int, has_more: bool) -> UploadChunk | None:
    """The chunk is durable and counts from now on; the next one. Raises Gone when it is too late."""
    upload = chunk.transfer
    with locked(upload.image_id, deleted=True):
        if not _mine(chunk).update(status=ChunkStatus.STORED, size=size):
            raise _ended()
        Transfer.objects.filter(pk=upload.pk).update(
            bytes_received=F("bytes_received") + size,
            heartbeat_at=timezone.now(),
            deadline=leases.deadline(upload.kind),
        )
        return _next(upload, chunk.start + size) if has_more else None


def _mine(chunk: UploadChunk) -> QuerySet[UploadChunk]:
    return UploadChunk.objects.filter(
        pk=chunk.pk,
        status=ChunkStatus.ARRIVING,
        transfer__status=TransferStatus.RUNNING,
    )


def _ended() -> errors.Gone:
    return errors.Gone(
        "The upload was ended, or continued by another request, while this one was sending."
    )


def _give_turn(chunk: UploadChunk, put: bool) -> None:
    """Nothing more comes: the chunk goes, with what was ``put`` of it, if anything was."""
    try:
        if not put:
            chunk.delete()
            return
        _mine(chunk).update(status=ChunkStatus.LOST)
        chunks.remove_each([chunk], CircuitBreaker())
    except Exception:
        # Without a heartbeat the turn is free after a lease; the sender is told the first reason.
        log.exception("chunk %s could not be given up", chunk.pk)
