"""Positions in sorted lists: where the next page begins."""

from __future__ import annotations

from typing import Any

from django.db.models import Q


def after(column: str, descending: bool, value: Any, tie_breaker: str, last: Any) -> Q:
    """Return the query condition for the rows that follow a given row in a sorted list.

    The list is sorted by ``column`` and then by the unique column ``tie_breaker``, both
    ascending or both ``descending``. In the given row, ``column`` is ``value`` and
    ``tie_breaker`` is ``last``. Neither column has NULL.
    """
    way = "lt" if descending else "gt"
    beyond = Q((f"{column}__{way}", value))
    same = Q((column, value), (f"{tie_breaker}__{way}", last))
    # The first condition follows from the others, but lets the database start inside an index.
    return Q((f"{column}__{way}e", value)) & (beyond | same)
