"""Removal of objects from stores, with a circuit breaker for unavailable stores."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from operator import attrgetter
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from images import errors, stores
from images.stores.circuit_breaker import CircuitBreaker

log = logging.getLogger(__name__)

BATCH = 500
STUCK_AT_MOST = 10_000  # remembered primary keys of each model
Row = TypeVar("Row", bound=Model)

# The rows whose objects this process could not remove, by model.
_stuck: defaultdict[str, set[Any]] = defaultdict(set)


def delete(
    store_id: str, key: str, breaker: CircuitBreaker, *, abandoned: bool = False
) -> bool:
    """Remove an object from a store; False if it cannot be removed or its store is unavailable.

    The circuit breaker ``breaker`` counts the consecutive failures of each store: a store that
    hangs must not delay the others once for each object, so an unavailable store is not asked.
    A single object that cannot be removed does not make its store unavailable.
    """
    if breaker.is_open(store_id):
        return False
    try:
        stores.get(store_id).delete(key, abandoned=abandoned)
    except errors.ImageError as error:
        breaker.failed(store_id)
        log.warning(
            "object %s could not be removed from store %s; it is tried again later",
            key,
            store_id,
            exc_info=error,
        )
        return False
    breaker.succeeded(store_id)
    return True


def in_batches(
    found: QuerySet[Row], breaker: CircuitBreaker | None = None, store: str = "store"
) -> Iterator[Row]:
    """Yield the rows in the order of their primary keys, read in batches of BATCH.

    Each row is yielded once, also if its object cannot be removed. A batch excludes rows whose
    store the circuit breaker ``breaker`` reports as unavailable by then; ``store`` is the column
    with the store's id.
    """
    ordered = rest = found.order_by("pk")
    while batch := list(_reachable(rest, breaker, store)[:BATCH]):
        yield from batch
        rest = ordered.filter(pk__gt=batch[-1].pk)


def stuck_last(
    found: QuerySet[Row], breaker: CircuitBreaker, store: str = "store"
) -> Iterator[Row]:
    """Yield the rows as ``in_batches`` does, first those that ``fresh_and_stuck`` calls fresh."""
    return chain(*fresh_and_stuck(found, breaker, store))


def fresh_and_stuck(
    found: QuerySet[Row], breaker: CircuitBreaker, store: str = "store"
) -> tuple[Iterator[Row], Iterator[Row]]:
    """Return the rows in two parts, each as ``in_batches`` yields them.

    The second part has the rows whose objects could not be removed before. They come last: they
    would open the circuit of their store in every round, and the rows behind them would never
    be reached.
    """
    stuck = _stuck[found.model._meta.label]
    if len(stuck) > STUCK_AT_MOST:
        stuck.clear()
    known = list(stuck)
    return (
        _remembering(found.exclude(pk__in=known), breaker, store, stuck),
        _remembering(found.filter(pk__in=known), breaker, store, stuck),
    )


def _remembering(
    found: QuerySet[Row], breaker: CircuitBreaker, store: str, stuck: set[Any]
) -> Iterator[Row]:
    store_of = attrgetter(store.replace("__", "."))
    for row in in_batches(found, breaker, store):
        before, pk = breaker.failures, row.pk
        yield row
        if breaker.failures > before:
            stuck.add(pk)
        elif not breaker.is_open(store_of(row)):
            stuck.discard(pk)


def _reachable(
    found: QuerySet[Row], breaker: CircuitBreaker | None, store: str
) -> QuerySet[Row]:
    unavailable = breaker.open_stores() if breaker else []
    return found.exclude(**{f"{store}__in": unavailable}) if unavailable else found
