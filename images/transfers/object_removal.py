"""Removal of objects from stores, with a circuit breaker for unavailable stores."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from images import errors, stores
from images.models import positions
from images.stores.circuit_breaker import CircuitBreaker

log = logging.getLogger(__name__)

BATCH = 500
STUCK_AT_MOST = 10_000  # remembered rows
Row = TypeVar("Row", bound=Model)

# The rows whose objects this process could not remove, in the order of the last attempts.
_stuck: dict[Model, None] = {}
# The failure of each store that this process has logged last, until a removal succeeds.
_logged: dict[str, str] = {}


def delete(
    store_id: str, key: str, breaker: CircuitBreaker, *, abandoned: bool = False
) -> bool:
    """Remove an object from a store; return whether it is removed.

    Returns False if the removal fails, or the circuit breaker ``breaker`` reports the store as
    unavailable; such a store is not asked, because a store that hangs would delay the removal
    of each of its objects. ``breaker`` counts the failure; a single object that cannot be
    removed does not make its store unavailable. ``abandoned`` says that a dead writer may have
    left a partial object.
    """
    if breaker.is_open(store_id):
        return False
    try:
        stores.get(store_id).delete(key, abandoned=abandoned)
    except errors.ImageError as error:
        breaker.failed(store_id)
        if _logged.get(store_id) != error.for_operator():
            _logged[store_id] = error.for_operator()
            log.warning(
                "object %s, perhaps with others, cannot be removed from store %s and is "
                "tried again later",
                key,
                store_id,
                exc_info=error,
            )
        return False
    breaker.succeeded(store_id)
    _logged.pop(store_id, None)
    return True


def in_batches(
    found: QuerySet[Row], breaker: CircuitBreaker | None = None, store: str = "store"
) -> Iterator[Row]:
    """Yield database rows in the order of their primary keys, read in batches of 500.

    Each row is yielded once, also if the caller cannot remove its stored object. Each new batch
    leaves out rows whose store the circuit breaker ``breaker`` then reports as unavailable;
    ``store`` is the column with the store's id.
    """
    return positions.in_batches(
        found, BATCH, lambda rest: _reachable(rest, breaker, store)
    )


def fresh(
    found: QuerySet[Row], breaker: CircuitBreaker, store: str = "store"
) -> Iterator[Row]:
    """Yield the rows whose stored objects this process has not failed to remove before.

    Objects that cannot be removed would make ``breaker`` report their store as unavailable in
    every round, and the rows after them would never be reached. Rows in stores that ``breaker``
    reports as unavailable are left out; ``store`` is the column with the store's id. New
    failures are remembered (see ``remembering``).
    """
    known = [row.pk for row in _stuck if isinstance(row, found.model)]
    rows = in_batches(found.exclude(pk__in=known), breaker, store)
    return remembering(rows, breaker)


def stuck() -> list[Model]:
    """Return up to 500 rows whose stored objects this process could not remove.

    The row whose last attempt was longest ago comes first.
    """
    return list(islice(_stuck, BATCH))


def remembering(rows: Iterable[Row], breaker: CircuitBreaker) -> Iterator[Row]:
    """Yield the rows, and remember each one whose stored object the caller cannot remove.

    The caller reports failures to ``breaker`` before it asks for the next row. ``stuck``
    returns the remembered rows.
    """
    for row in rows:
        before, store_id = breaker.failures, _store_id(row)
        yield row
        if breaker.failures > before:
            _stuck.pop(row, None)
            if len(_stuck) < STUCK_AT_MOST:
                _stuck[row] = None
        elif not breaker.is_open(store_id):
            _stuck.pop(row, None)


def _store_id(row: Any) -> str:
    return str(row.store if hasattr(row, "store") else row.transfer.store)


def _reachable(
    found: QuerySet[Row], breaker: CircuitBreaker | None, store: str
) -> QuerySet[Row]:
    unavailable = breaker.open_stores() if breaker else []
    return found.exclude(**{f"{store}__in": unavailable}) if unavailable else found
