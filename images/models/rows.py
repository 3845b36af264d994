"""Rows of images for responses: columns and active locations in one query, no model instances.

The ORM builds the sub-selects that choose the images. The SQL around them is constant and
hand-written: building it with the ORM for every request costs more than executing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F, OrderBy, QuerySet

from images.models import Image, ImageLocation, LocationStatus
from images.models.statements import Statement, compiled

Row = dict[str, Any]
Location = tuple[str, str, dict[str, Any]]  # store, key, metadata
Sort = Sequence[tuple[str, bool]]  # (column, descending)

COLUMNS = (
    "id",
    "name",
    "owner",
    "visibility",
    "status",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "disk_format",
    "container_format",
    "min_ram",
    "min_disk",
    "protected",
    "os_hidden",
    "properties",
    "tags",
    "created_at",
    "updated_at",
    "deleted_at",
)
NULLABLE = frozenset({"name", "size", "disk_format", "container_format"})

_IMAGES = f'"{Image._meta.db_table}"'
_COLUMNS = ", ".join(f'i."{column}"' for column in COLUMNS)
_LIVE = 'live."store", live."key", live."metadata"'
_JOIN = (
    f'LEFT JOIN "{ImageLocation._meta.db_table}" live'
    f' ON live."image_id" = i."id" AND live."status" = \'{LocationStatus.ACTIVE}\''
)
_LENGTH = 'LENGTH(CAST(i."properties" AS TEXT)) + LENGTH(CAST(i."tags" AS TEXT))'


def statement(images: QuerySet[Image]) -> Statement:
    """Return the SQL that selects the ids of these images, for ``fetch``.

    Raises EmptyResultSet if no image can match.
    """
    return compiled(images.values("pk"))


class Fetched(NamedTuple):
    """The rows of a page; ``is_cut`` when its last images were left out for their length."""

    rows: list[Row]
    is_cut: bool


def fetch(chosen: str, params: Sequence[Any]) -> list[Row]:
    """Return the rows of the images whose ids the SQL ``chosen`` selects. One query.

    A row is a dict of columns and ``locations``, a list of (store, key, metadata).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS}, {_LIVE} FROM {_IMAGES} i {_JOIN}"
            f' WHERE i."id" IN ({chosen}) ORDER BY i."id", live."id"',
            params,
        )
        return _rows(cursor.fetchall())


def fetch_page(
    branches: Sequence[QuerySet[Image]], sort: Sort, limit: int, length: int
) -> Fetched:
    """Return the first rows of several ordered and limited querysets merged, each image once.

    Every branch is limited before the merge. One query with OR would scan the whole catalogue
    for a project that owns few images (0.5 s with a million images). Ends with the image that
    reaches ``length`` characters of properties and tags.
    """
    statements = list(_statements(branches))
    if not statements:
        return Fetched([], False)
    order = ", ".join(f"i.{_order_sql(*key)}" for key in sort)
    if len(statements) == 1:
        return _page(*statements[0], order, length)
    parts = [f"SELECT * FROM ({sql}) AS b{n}" for n, (sql, _) in enumerate(statements)]
    merged = (
        f'SELECT i."id" FROM {_IMAGES} i WHERE i."id" IN ({" UNION ".join(parts)})'
        f" ORDER BY {order} LIMIT {limit:d}"
    )
    params = [param for _, values in statements for param in values]
    return _page(merged, params, order, length)


def row_of(image: Image) -> Row:
    """Return an image that has no locations as a row: a dict of its columns and ``locations``.

    Times are text in UTC, or None. No query.
    """
    row = {column: getattr(image, column) for column in COLUMNS}
    return row | {
        "created_at": str(image.created_at),
        "updated_at": str(image.updated_at),
        "locations": [],
    }


def order_by(column: str, descending: bool) -> OrderBy:
    """Return the ordering by a column, in which NULL is lowest on every database."""
    if column not in NULLABLE:
        return F(column).desc() if descending else F(column).asc()
    if descending:
        return F(column).desc(nulls_last=True)
    return F(column).asc(nulls_first=True)


def _order_sql(column: str, descending: bool) -> str:
    direction = "DESC" if descending else "ASC"
    if column not in NULLABLE:
        return f'"{column}" {direction}'
    return f'"{column}" {direction} NULLS {"LAST" if descending else "FIRST"}'


def _statements(branches: Iterable[QuerySet[Image]]) -> Iterator[Statement]:
    for branch in branches:
        with suppress(EmptyResultSet):
            yield statement(branch)


def _page(chosen: str, params: Sequence[Any], order: str, length: int) -> Fetched:
    before = (
        f"COALESCE(SUM({_LENGTH}) OVER (ORDER BY {order}"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)"
    )
    # Without the long columns: SQLite would copy those of all images.
    measured = (
        f'SELECT i."id", {before} AS "before", COUNT(*) OVER () AS "found"'
        f' FROM {_IMAGES} i WHERE i."id" IN ({chosen})'
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT {_COLUMNS}, m."found", {_LIVE} FROM ({measured}) m'
            f' JOIN {_IMAGES} i ON i."id" = m."id" {_JOIN}'
            f' WHERE m."before" < {length:d} ORDER BY {order}, i."id", live."id"',
            params,
        )
        fetched = cursor.fetchall()
    rows = _rows(fetched)
    return Fetched(rows, bool(rows) and fetched[0][len(COLUMNS)] > len(rows))


def _rows(fetched: Sequence[tuple[Any, ...]]) -> list[Row]:
    # An image with several locations has several consecutive rows.
    return [
        _row(list(locations)) for _, locations in groupby(fetched, key=itemgetter(0))
    ]


def _row(locations: list[tuple[Any, ...]]) -> Row:
    row = dict(zip(COLUMNS, locations[0], strict=False))
    # The values have the types of the database driver.
    row["protected"] = bool(row["protected"])
    row["os_hidden"] = bool(row["os_hidden"])
    row["properties"] = orjson.loads(row["properties"])
    row["tags"] = orjson.loads(row["tags"])
    row["created_at"] = str(row["created_at"])
    row["updated_at"] = str(row["updated_at"])
    row["deleted_at"] = row["deleted_at"] and str(row["deleted_at"])
    row["locations"] = [
        (store, key, orjson.loads(metadata))
        for *_, store, key, metadata in locations
        if store is not None
    ]
    return row
