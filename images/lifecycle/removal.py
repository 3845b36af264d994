"""One object from one store, and the memory of a round that some stores are away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TypeVar

from django.db.models import Model, QuerySet

from images import errors, stores

log = logging.getLogger(__name__)

BATCH = 500
Row = TypeVar("Row", bound=Model)


def delete(store_id: str, key: str, away: set[str], *, abandoned: bool = False) -> bool:
    """Remove an object; False: it stays, because its store is away.

    A store that hangs must not keep the others waiting once for each object: one that fails
    is added to those that are ``away``, and they are not asked.
    """
    if store_id in away:
        return False
    try:
        stores.get(store_id).delete(key, abandoned=abandoned)
    except errors.ImageError as error:
        away.add(store_id)
        log.warning("%s is not removed from %s yet", key, store_id, exc_info=error)
        return False
    return True


def in_batches(found: QuerySet[Row]) -> Iterator[Row]:
    """These in the order of their primary keys, read a batch at a time: there may be very many."""
    ordered = found.order_by("pk")
    batch = list(ordered[:BATCH])
    while batch:
        yield from batch
        batch = list(ordered.filter(pk__gt=batch[-1].pk)[:BATCH])
