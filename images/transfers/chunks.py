"""Removal of upload chunks that are no longer needed: first the object, then the row."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from images.failpoints import failpoint
from images.models import ChunkStatus, Transfer, TransferStatus, UploadChunk
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import object_removal


def remove(
    transfer: Transfer, breaker: CircuitBreaker, *, arriving: bool = False
) -> None:
    """Remove the chunks of a transfer that has ended: first each object, then its row.

    Chunks that cannot be removed now stay. The writer of an arriving chunk removes that chunk
    itself; ``arriving`` says that the writer is gone, and includes the chunk. Stores that are
    unavailable by the circuit breaker ``breaker`` are not asked. Idempotent.
    """
    found = UploadChunk.objects.filter(transfer=transfer).select_related("transfer")
    if not arriving:
        found = found.exclude(status=ChunkStatus.ARRIVING)
    remove_each(object_removal.in_batches(found), breaker, abandoned=arriving)


def unneeded() -> QuerySet[UploadChunk]:
    """Return the chunks to remove: those of imported uploads, and those without a writer."""
    useless = UploadChunk.objects.filter(
        Q(transfer__status=TransferStatus.DONE)
        | Q(transfer__status=TransferStatus.RUNNING, status=ChunkStatus.LOST)
    )
    return useless.select_related("transfer")


def remove_each(
    found: Iterable[UploadChunk], breaker: CircuitBreaker, *, abandoned: bool = False
) -> None:
    """Remove these chunks from their stores and the database, except from unavailable stores.

    The background worker tries the remaining chunks again. ``abandoned``: the writers of
    chunks that are not stored may have died and left partial data. ``breaker`` is the circuit
    breaker.
    """
    for chunk in found:
        half = abandoned and chunk.status != ChunkStatus.STORED
        if object_removal.delete(
            chunk.transfer.store, chunk.key, breaker, abandoned=half
        ):
            failpoint("chunk.removed")
            UploadChunk.objects.filter(pk=chunk.pk).delete()
