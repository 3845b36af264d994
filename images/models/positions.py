"""Positions in sorted lists: where the next page, or the next batch, begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)


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


def _key(row: Model) -> str:
    return str(row.pk)


def first(
    rows: QuerySet[Row], limit: int, marker: Callable[[Row], str] = _key
) -> tuple[list[Row], str | None]:
    """Return the first ``limit`` of the sorted ``rows``, and the marker with which the next page begins.

    ``marker`` returns the marker for the last row of a page, by default its primary key. The result
    has None on the last page. One query.
    """
    found = list(rows[: limit + 1])
    page = found[:limit]
    return page, marker(page[-1]) if len(found) > limit else None


def in_batches(
    rows: QuerySet[Row],
    size: int = 500,
    narrow: Callable[[QuerySet[Row]], QuerySet[Row]] = lambda rest: rest,
) -> Iterator[Row]:
    """Yield rows in the order of their primary keys, read in batches of ``size``.

    Each row is yielded once, even if it still matches the query ``rows`` afterwards. ``narrow``
    gets the query for the remaining rows before each batch, and returns the query for those that
    the batch can contain.
    """
    ordered = rest = rows.order_by("pk")
    while batch := list(narrow(rest)[:size]):
        yield from batch
        rest = ordered.filter(pk__gt=batch[-1].pk)


def page(
    rows: QuerySet[Row],
    limit: int,
    shown: Callable[[list[Row]], list[Row]],
    following: Callable[[Row], Q],
) -> tuple[list[Row], str | None]:
    """Return at most ``limit`` of the sorted ``rows``, and the marker that begins the next page.

    ``shown`` gets a list of rows, and returns the rows of it that the caller can see. ``following``
    gets a row, and returns the condition for the rows after it. The marker is the primary key of
    the last row of the page; None on the last page. One query, and one more after each page of
    which the caller can see no row.
    """
    while True:
        found, more = first(rows, limit)
        visible = shown(found)
        if more is None:
            return visible, None
        if visible:
            return visible, _key(visible[-1])
        # The link to the next page must not name a row that the caller cannot see.
        rows = rows.filter(following(found[-1]))
