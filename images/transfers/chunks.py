"""The chunks of resumable uploads, when nobody needs them any more: bytes first, then the row."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from images.failpoints import failpoint
from images.models import ChunkStatus, Transfer, TransferStatus, UploadChunk
from images.transfers import object_removal
from images.transfers.object_removal import Failures


def remove(transfer: Transfer, failures: Failures, *, arriving: bool = False) -> None:
    """Remove the chunks of an attempt that has ended; what cannot be removed now stays.

    One that is still arriving has a writer who removes it, unless ``arriving`` says that he
    is gone. Stores that are away by their ``failures`` are not asked. Safe to call again.
    """
    found = UploadChunk.objects.filter(transfer=transfer).select_related("transfer")
    if not arriving:
        found = found.exclude(status=ChunkStatus.ARRIVING)
    remove_each(object_removal.in_batches(found), failures, abandoned=arriving)


def remove_useless(failures: Failures) -> None:
    """Remove chunks that an image was made of, and those that have lost their writer.

    Stores that are away by their ``failures`` are not asked; new ones are counted.
    """
    useless = UploadChunk.objects.filter(
        Q(transfer__status=TransferStatus.DONE)
        | Q(transfer__status=TransferStatus.RUNNING, status=ChunkStatus.LOST)
    )
    found = useless.select_related("transfer")
    each = object_removal.in_batches(found, failures, "transfer__store")
    remove_each(each, failures, abandoned=True)


def remove_each(
    found: Iterable[UploadChunk], failures: Failures, *, abandoned: bool = False
) -> None:
    """Remove these, as far as their stores are not away; the worker tries the others again.

    ``abandoned``: who wrote those that are not stored may have died.
    """
    for chunk in found:
        half = abandoned and chunk.status != ChunkStatus.STORED
        if object_removal.delete(
            chunk.transfer.store, chunk.key, failures, abandoned=half
        ):
            failpoint("chunk.removed")
            UploadChunk.objects.filter(pk=chunk.pk).delete()
