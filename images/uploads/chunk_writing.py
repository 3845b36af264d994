"""Storing received data in chunks. A chunk counts as received when it is stored completely."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Mapping
from itertools import chain
from typing import Protocol
from uuid import uuid4

from django.db.models import F, QuerySet
from django.utils import timezone

from images import db, errors, lifecycle, outages, stores
from images.failpoints import failpoint
from images.formats import Inspector
from images.models import (
    ChunkStatus,
    Transfer,
    TransferStatus,
    UploadChunk,
)
from images.stores.circuit_breaker import CircuitBreaker
from images.stores.digests import Digests, digesting
from images.transfers import chunks, heartbeat, keys, leases, quota
from images.transfers.chunks import CHUNK_DIGEST
from images.transitions import locked

log = logging.getLogger(__name__)

# At most this many bytes are lost when a process dies. Chunks of a slow sender are smaller,
# because each chunk is also the upload's heartbeat.
CHUNK = 64 << 20  # bytes


class Stream(Protocol):
    """The interface of data that a client is sending: its blocks, and a check of their digests."""

    blocks: Generator[bytes, None, None]
    expected_digests: Mapping[str, str]  # of all blocks
    is_one_chunk: bool  # all blocks are one chunk, so that they count only together
    inspection: Inspector | None  # of the first chunk

    def has_more(self) -> bool:
        """Return True unless it is certain that no bytes follow. Does not wait for the client."""

    def check_digests(self, actual: Mapping[str, str]) -> None:
        """Raise DigestMismatch unless ``actual`` has the expected digests.

        ``actual`` are the digests of the received bytes: algorithm -> hexadecimal.
        """


def write(upload: Transfer, chunk: UploadChunk, stream: Stream) -> None:
    """Store the blocks of a stream as chunks of an upload; ``chunk`` is the first chunk's row.

    Chunks that are stored completely remain even if an error is raised: StoreError, OverLimit
    (the staging quota), Gone if the upload has ended or another request has resumed it, or an
    error of the stream.
    """
    current: UploadChunk | None = chunk
    put = False
    try:
        store = stores.get_for_location(upload.store)
        lifecycle.check_mounted(store)
        while current and (first := next(stream.blocks, None)) is not None:
            _extend_deadline(upload)
            put = True
            current.size, current.digest = _put(store, current, first, stream)
            failpoint("chunk.stored")
            current = _count(current, stream.has_more())
            put = False
            failpoint("chunk.counted")
            db.release_connection()
            # Only the first chunk is inspected here; the import inspects all data.
            stream.inspection = None
    except errors.StoreError as error:
        if current and not _own_arriving(current).exists():
            # The store failed because its partial object was removed meanwhile.
            raise _ended(upload) from error
        raise
    finally:
        if current is not None:
            _abandon(current, put)


def next_chunk(upload: Transfer, start: int) -> UploadChunk:
    """Create and return the row of an upload's next chunk, which begins at byte ``start``."""
    key = keys.key_of(upload.image_id, uuid4())
    return UploadChunk.objects.create(transfer=upload, start=start, key=key)


def _extend_deadline(upload: Transfer) -> None:
    """Extend the upload's deadline to at least one lease from now, because bytes are arriving.

    The full deadline begins again only when a chunk is stored.
    """
    soon = heartbeat.lease_end()
    if upload.deadline is None or upload.deadline >= soon:
        return
    expiring = Transfer.objects.filter(pk=upload.pk, deadline__lt=soon)
    expiring.update(deadline=soon)
    db.release_connection()


def _put(
    store: stores.Store, chunk: UploadChunk, first: bytes, stream: Stream
) -> tuple[int, str]:
    """Store a chunk that begins with the block ``first``; return its size in bytes and its digest."""
    with Digests(*{CHUNK_DIGEST, *stream.expected_digests}) as digests:
        blocks = digesting(chain([first], stream.blocks), digests)
        store.put(chunk.key, _one_chunk(blocks, digests, stream, chunk.transfer))
        return digests.size, digests.hexdigests()[CHUNK_DIGEST]


def _one_chunk(
    blocks: Iterator[bytes], digests: Digests, stream: Stream, upload: Transfer
) -> Iterator[bytes]:
    """Yield the blocks of one chunk: until it is large or old enough, or the stream ends.

    A chunk is large enough with 64 MiB, and old enough when the time between two heartbeats is
    over. If ``stream.is_one_chunk``, all blocks form one chunk. After the last block of the
    stream, the digests are checked: raises the errors of ``stream.check_digests``.
    """
    due, beat = time.monotonic() + heartbeat.interval(), heartbeat.at_intervals(upload)
    for block in blocks:
        yield block
        if stream.is_one_chunk:
            if beat():
                _extend_deadline(upload)
        elif stream.has_more() and (time.monotonic() > due or digests.size >= CHUNK):
            return
    stream.check_digests(digests.hexdigests())


def _count(chunk: UploadChunk, has_more: bool) -> UploadChunk | None:
    """Mark a chunk as stored and count its bytes; return the next chunk if the data ``has_more``.

    Returns None without more data. Raises Gone if the upload has ended or another request has
    resumed it, OverLimit if data of unknown size exceeds the staging quota.
    """
    upload, received = chunk.transfer, chunk.start + chunk.size
    with locked(upload.image_id, deleted=True) as image:
        stored = _own_arriving(chunk).update(
            status=ChunkStatus.STORED, size=chunk.size, digest=chunk.digest
        )
        if not stored:
            raise _ended(upload)
        if upload.bytes_expected is None:
            quota.check_staging(image, received)
        Transfer.objects.filter(pk=upload.pk).update(
            bytes_received=F("bytes_received") + chunk.size,
            heartbeat_at=timezone.now(),
            deadline=leases.deadline(upload.kind),
        )
        return next_chunk(upload, received) if has_more else None


def _own_arriving(chunk: UploadChunk) -> QuerySet[UploadChunk]:
    return UploadChunk.objects.filter(
        pk=chunk.pk,
        status=ChunkStatus.ARRIVING,
        transfer__status=TransferStatus.RUNNING,
    )


def _ended(upload: Transfer) -> errors.Gone:
    if upload.import_method:
        return heartbeat.gone(upload)
    return errors.Gone(
        "The upload was ended, or resumed by another request, while this request was sending. "
        "Ask for the upload's offset and resume there."
    )


def _abandon(chunk: UploadChunk, put: bool) -> None:
    """Remove an incomplete chunk, and its partial object if storing had begun (``put``)."""
    try:
        if not put:
            chunk.delete()
            return
        _own_arriving(chunk).update(status=ChunkStatus.LOST)
        chunks.remove_each([chunk], CircuitBreaker())
    except Exception as failure:
        # Without a heartbeat another request can write after a lease. The sender gets the first
        # error.
        outages.report(failure, log, "chunk %s could not be removed", chunk.pk)
