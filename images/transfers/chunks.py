"""Upload chunks (stored parts of resumable uploads): their reading and removal.

A chunk is removed in the order object, row, so that no object is left without a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

from django.db.models import Q, QuerySet

from images import db, errors, stores
from images.failpoints import failpoint
from images.models import ChunkStatus, Transfer, TransferStatus, UploadChunk
from images.stores.circuit_breaker import CircuitBreaker
from images.stores.digests import Digests, digesting
from images.transfers import object_removal

CHUNK_DIGEST = "sha256"  # the algorithm of UploadChunk.digest


class ChunkDamaged(errors.StoreError):
    """The error for a chunk whose stored bytes differ from the bytes that were received."""

    code = "chunk-damaged"


def read(transfer: Transfer) -> Iterator[bytes]:
    """Yield the data in the stored chunks of a transfer, in the order in which the client sent it.

    Raises StoreNotConfigured, DataMissing or StoreError if a chunk cannot be read, and
    ChunkDamaged if a chunk does not have its digest.
    """
    store = stores.get_for_location(transfer.store)
    stored = transfer.chunks.filter(status=ChunkStatus.STORED)
    # The order of primary keys is the order of the bytes: the row of a chunk is created after
    # all bytes before the chunk have arrived.
    for chunk in object_removal.in_batches(stored):
        db.release_connection()
        with closing(store.open(chunk.key)) as blocks:
            yield from _verified(blocks, chunk)


def only(transfer: Transfer) -> UploadChunk | None:
    """Return the chunk that has all the data of a transfer; None if there is no such chunk."""
    found = list(transfer.chunks.all()[:2])
    is_all = len(found) == 1 and found[0].size == transfer.bytes_expected
    return found[0] if is_all else None


def _verified(blocks: Iterable[bytes], chunk: UploadChunk) -> Iterator[bytes]:
    """Yield the blocks of a chunk. Raises ChunkDamaged after the last if the digest is wrong."""
    with Digests(CHUNK_DIGEST) as digests:
        yield from digesting(blocks, digests)
        digest = digests.hexdigests()[CHUNK_DIGEST]
    if chunk.digest not in ("", digest):
        raise ChunkDamaged(
            "A part of the uploaded data was damaged in its store. Upload the data again."
        )


def remove(
    transfer: Transfer, breaker: CircuitBreaker, *, arriving: bool = False
) -> None:
    """Remove the chunks of a transfer that has ended: first each object, then its row.

    Chunks that cannot be removed now stay. A chunk that is still arriving is left to its
    writer, which removes it; with ``arriving``, which says that the writer is gone, that chunk
    is removed, too. Stores that the circuit breaker ``breaker`` reports as unavailable are not
    asked. Idempotent.
    """
    found = UploadChunk.objects.filter(transfer=transfer).select_related("transfer")
    if not arriving:
        found = found.exclude(status=ChunkStatus.ARRIVING)
    remove_each(object_removal.in_batches(found), breaker, abandoned=arriving)


def unneeded() -> QuerySet[UploadChunk]:
    """Return the chunks that are no longer needed and can be removed, each with its transfer.

    They are the chunks of uploads that have been imported, and chunks of open uploads that are
    incomplete because their writer was lost.
    """
    useless = UploadChunk.objects.filter(
        Q(transfer__status=TransferStatus.DONE)
        | Q(transfer__status=TransferStatus.RUNNING, status=ChunkStatus.LOST)
    )
    return useless.select_related("transfer")


def remove_each(
    found: Iterable[UploadChunk], breaker: CircuitBreaker, *, abandoned: bool = False
) -> None:
    """Remove these chunks from their stores and the database, except from unavailable stores.

    The background worker tries the remaining chunks again. ``abandoned`` says that writers may
    have died and left partial data of chunks that are not stored. ``breaker`` reports which
    stores are unavailable, and counts failures.
    """
    for chunk in found:
        half = abandoned and chunk.status != ChunkStatus.STORED
        if object_removal.delete(
            chunk.transfer.store, chunk.key, breaker, abandoned=half
        ):
            failpoint("chunk.removed")
            UploadChunk.objects.filter(pk=chunk.pk).delete()
