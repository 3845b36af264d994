"""The pieces of resumable uploads, when nobody needs them any more: bytes first, then the row."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from django.db.models import Q, QuerySet

from images import crash, errors, stores
from images.models import Piece, PieceStatus, Transfer, TransferStatus

log = logging.getLogger(__name__)

BATCH = 500


def remove(transfer: Transfer, *, arriving: bool = False) -> None:
    """Remove the pieces of an attempt that has ended; what cannot be removed now stays.

    One that is still arriving has a writer who removes it, unless ``arriving`` says that he
    is gone. Safe to call again.
    """
    found = Piece.objects.filter(transfer=transfer).select_related("transfer")
    if not arriving:
        found = found.exclude(status=PieceStatus.ARRIVING)
    remove_each(in_order(found), abandoned=arriving)


def in_order(found: QuerySet[Piece]) -> Iterator[Piece]:
    """These in the order of their bytes, which is the one in which they were made.

    A batch is read at a time: an upload may have very many.
    """
    last = 0
    while batch := list(found.filter(pk__gt=last).order_by("pk")[:BATCH]):
        yield from batch
        last = batch[-1].pk


def remove_useless() -> None:
    """Remove pieces that an image was made of, and those that have lost their writer."""
    useless = Piece.objects.filter(
        Q(transfer__status=TransferStatus.DONE)
        | Q(transfer__status=TransferStatus.RUNNING, status=PieceStatus.LOST)
    )
    found = useless.select_related("transfer").order_by("pk")[:BATCH]
    remove_each(found, abandoned=True)


def remove_each(found: Iterable[Piece], *, abandoned: bool = False) -> None:
    """Remove these, as far as their stores can be reached; the worker tries the others again.

    ``abandoned``: who wrote those that are not stored may have died.
    """
    away = set()
    for piece in found:
        store_id = piece.transfer.store
        if store_id in away:
            continue
        try:
            half = abandoned and piece.status != PieceStatus.STORED
            stores.get(store_id).delete(piece.key, abandoned=half)
        except errors.ImageError as error:
            away.add(store_id)
            log.warning("piece %s is not removed yet", piece.pk, exc_info=error)
            continue
        crash.point("piece.removed")
        Piece.objects.filter(pk=piece.pk).delete()
