"""Removal of objects from stores, with a circuit breaker for unavailable stores."""

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
    """Remove an object from a store; False if it cannot be removed or its store is unavailable.

    The circuit breaker ``failures`` counts the consecutive failures of each store: a store that
    hangs must not delay the others once for each object, so an unavailable store is not asked.
    A single object that cannot be removed does not make its store unavailable.
    """
    if store_id in unavailable(failures):
        return False
    try:
        stores.get(store_id).delete(key, abandoned=abandoned)
    except errors.ImageError as error:
        failures[store_id] += 1
        log.warning(
            "object %s could not be removed from store %s; it is tried again later",
            key,
            store_id,
            exc_info=error,
        )
        return False
    failures[store_id] = 0
    return True


def unavailable(failures: Failures) -> list[str]:
    """Return the stores that failed too often in this round and are not asked again."""
    return [it for it, count in failures.items() if count >= stores.PATIENCE]


def in_batches(
    found: QuerySet[Row], failures: Failures | None = None, store: str = "store"
) -> Iterator[Row]:
    """Yield the rows in the order of their primary keys, read in batches of BATCH.

    Each row is yielded once, also if its object cannot be removed. A batch excludes rows whose
    store the circuit breaker ``failures`` reports as unavailable by then; ``store`` is the column
    with the store's id.
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
