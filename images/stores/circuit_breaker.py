"""A circuit breaker for stores: a store that keeps failing is not asked again in the same work."""

from __future__ import annotations

from collections import Counter

THRESHOLD = 3  # consecutive failures


class CircuitBreaker:
    """Counts the consecutive failures of each store, so that a failing store is not asked again.

    After three failures without a success between them the breaker is open for a store: the
    store must not be asked any more. A breaker stays open: create a new one for each round of
    work.
    """

    def __init__(self) -> None:
        self._failures: Counter[str] = Counter()  # by store id
        self.failures = 0  # of all stores

    def failed(self, store_id: str) -> None:
        """Count a failure of a store. After three in a row the breaker is open for the store."""
        self._failures[store_id] += 1
        self.failures += 1

    def succeeded(self, store_id: str) -> None:
        """Forget the failures of a store: its next failure counts as the first one."""
        del self._failures[store_id]

    def is_open(self, store_id: str) -> bool:
        """Return whether a store has failed so often that it must not be asked any more."""
        return self._failures[store_id] >= THRESHOLD

    def open_stores(self) -> list[str]:
        """Return the ids of the stores that must not be asked any more."""
        return [store_id for store_id in self._failures if self.is_open(store_id)]
