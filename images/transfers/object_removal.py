"""One object from one store, and the memory of a round that some stores are away."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from django.db.models import Model, QuerySet

from images import errors, stores

log = logging.getLogger(__name__)

BATCH = 500
Row = TypeVar("Row", bound=Model)
Failures = Counter[str]  # of each store in this round, one behind the other


def delete(
    store_id: str, key: str, failures: Failures, *, abandoned: bool = False
) -> bool:
    """Remove an object; False: it stays, because it cannot be removed or its store is away.

    A store that hangs must not keep the others waiting once for each object: one that is away
    is not asked. But one object that cannot be removed is not yet a store that is away.
    """
    if store_id in unavailable(failures):
        return False
    try:
        stores.get(store_id).delete(key, abandoned=abandoned)
    except errors.ImageError as error:
        failures[store_id] += 1
        log.warning("%s is not removed from %s yet", key, store_id, exc_info=error)
        return False
    failures[store_id] = 0
    return True


def unavailable(failures: Failures) -> list[str]:
    """The stores that are not asked any more in this round."""
    return [it for it, count in failures.items() if count >= stores.PATIENCE]


def in_batches(
    found: QuerySet[Row], failures: Failures | None = None, store: str = "store"
) -> Iterator[Row]:
    """These in the order of their primary keys, read a batch at a time: there may be very many.

    Each comes once, also what cannot be removed. A batch leaves out what is in stores that are
    away by then; ``store`` is the column that says where it is.
    """
    ordered = rest = found.order_by("pk")
    while batch := list(_reachable(rest, failures, store)[:BATCH]):
        yield from batch
        rest = ordered.filter(pk__gt=batch[-1].pk)


def _reachable(
    found: QuerySet[Row], failures: Failures | None, store: str
) -> QuerySet[Row]:
    if not failures:
        return found
    return found.exclude(**{f"{store}__in": unavailable(failures)})
