"""The numbers of images in the saved views of the image list, all counted by one SQL statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Case, Q, QuerySet, When

from images.models import Image

COUNTED: Final = 1_000  # images of each view; of longer ones the page says "1,000+"
READ: Final = 2_000  # images among which those of each view are counted
TOTAL: Final = "total"  # no name of a view

Sql = tuple[str, Sequence[Any]]  # with its parameters


def count(
    querysets: Mapping[str, QuerySet[Image]],
    images: QuerySet[Image] | None = None,
    parts: Mapping[str, Q] | None = None,
) -> dict[str, str]:
    """Return the number of images in each query, by its name, as a tab shows it. One statement.

    The same for each of ``parts``, which are conditions on ``images``. They are tested on the first
    2,000 images (READ) of that query. If it has more, the numbers are lower bounds, such as ``37+``.
    """
    found: dict[tuple[str, ...], Sql | None] = {
        (name,): _sql("COUNT(*)", queryset.order_by().values("pk")[: COUNTED + 1])
        for name, queryset in querysets.items()
    }
    if images is not None and parts:
        found[(TOTAL, *parts)] = _parts_sql(images, parts.values())
    numbers = _numbers({names: sql for names, sql in found.items() if sql})
    is_exact = numbers.get(TOTAL, 0) <= READ
    return {
        name: shown(numbers.get(name, 0), is_exact=is_exact or name in querysets)
        for name in (*querysets, *(parts or ()))
    }


def _parts_sql(images: QuerySet[Image], parts: Iterable[Q]) -> Sql | None:
    """Return the SQL that counts the first images of a query, and those that meet each condition."""
    tests = {
        f"part_{place}": Case(When(condition, then=True), default=False)
        for place, condition in enumerate(parts)
    }
    columns = ["COUNT(*)", *(f"COUNT(*) FILTER (WHERE {name})" for name in tests)]
    tested = images.order_by().annotate(**tests).values(*tests)
    return _sql(", ".join(columns), tested[: READ + 1])


def _sql(columns: str, images: QuerySet[Any, Any]) -> Sql | None:
    """Return the SQL that selects aggregates of a query; None if nothing can match the query."""
    try:
        sql, params = images.query.sql_with_params()
    except EmptyResultSet:
        return None
    return f"(SELECT {columns} FROM ({sql}) AS counted)", params


def _numbers(queries: Mapping[Sequence[str], Sql]) -> dict[str, int]:
    """Return the numbers that queries of one row select, by their names. One statement."""
    if not queries:
        return {}
    sources = (
        f"{sql} AS query_{place}" for place, (sql, _) in enumerate(queries.values())
    )
    params = [value for _sql, values in queries.values() for value in values]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {', '.join(sources)}", params)
        return dict(zip(chain(*queries), cursor.fetchone(), strict=True))


def shown(number: int, *, is_exact: bool = True) -> str:
    """Return a number of images as a tab shows it: ``37`` or ``1,000+``.

    If it is a lower bound only, it becomes ``37+``, and nothing for 0.
    """
    if number > COUNTED:
        return f"{COUNTED:,}+"
    if is_exact:
        return f"{number:,}"
    return f"{number:,}+" if number else ""
