"""Rows of images for responses: columns and active locations in one query, no model instances.

The ORM builds the sub-selects that choose the images. The SQL around them is constant and
hand-written: building it with the ORM for every request costs more than executing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F, OrderBy, QuerySet

from images.batches import batches
from images.models import (
    TRANSIENT_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    TargetStatus,
    Transfer,
    TransferKind,
    TransferStatus,
    TransferTarget,
)
from images.models.statements import Query, Statement, compiled

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

# Characters of properties and tags that are read with the other columns of a page.
SHORT = 4096
PORTION = 16  # images whose long properties and tags are read in one query
REMOVED = ("{}", "[]")  # the texts of an image that is purged meanwhile

_KEYS = (*COLUMNS, "task")
_IMAGES = f'"{Image._meta.db_table}"'
_TEXTS = ("properties", "tags")
_TIMES = ("created_at", "updated_at", "deleted_at")
# Times as text: drivers take longer to make objects of them than PostgreSQL to write them.
_SQL = {
    column: f'CAST(i."{column}" AS text)' if column in _TIMES else f'i."{column}"'
    for column in COLUMNS
}
_ALL = ", ".join(_SQL.values())
_LOCATION = 'live."store", live."key", live."metadata"'
_STARTING = ", ".join(f"'{status}'" for status in (Status.QUEUED, *TRANSIENT_STATUSES))
# The stores of a transfer "t": "store=status,store=status".
_TARGETS = (
    "SELECT {join}(g.\"store\" || '=' || g.\"status\", ',')"
    f' FROM (SELECT * FROM "{TransferTarget._meta.db_table}"'
    ' WHERE "transfer_id" = t."id" ORDER BY "id") g'
)
_JOIN = {"postgresql": "string_agg", "sqlite": "group_concat"}
_NEWEST = (
    "(SELECT t.\"status\" || ' ' || CAST(t.\"task_id\" AS text) || ' '"
    f" || COALESCE(({_TARGETS}), t.\"store\" || '={TargetStatus.WAITING}')"
    f' FROM "{Transfer._meta.db_table}" t'
    ' WHERE t."image_id" = i."id" AND t."task_id" IS NOT NULL{also}'
    ' ORDER BY t."started_at" DESC LIMIT 1)'
)
# Of an image with data: its newest copy to other stores, or the import that gave it the data.
_LATER = (
    f" AND (t.\"kind\" = '{TransferKind.IMAGE_COPY}'"
    f" OR t.\"status\" = '{TransferStatus.DONE}')"
    f" AND t.\"kind\" <> '{TransferKind.LOCATION}'"
)
_LOCATIONS = (
    f'LEFT JOIN "{ImageLocation._meta.db_table}" live'
    f' ON live."image_id" = i."id" AND live."status" = \'{LocationStatus.ACTIVE}\''
)
# PostgreSQL compresses long values, and would decompress them to find their length.
_IS_SHORT = {
    "postgresql": 'pg_column_compression(i."properties") IS NULL'
    ' AND pg_column_compression(i."tags") IS NULL'
    f' AND pg_column_size(i."properties") + pg_column_size(i."tags") <= {SHORT}',
    "sqlite": f'LENGTH(i."properties") + LENGTH(i."tags") <= {SHORT}',
}


def statement(images: QuerySet[Image]) -> Statement:
    """Return the statement that selects the rows of these images, for ``fetch``.

    Raises EmptyResultSet if no image can match.
    """
    ids, params = compiled(images.values("pk"))
    chosen = f'SELECT * FROM {_IMAGES} WHERE "id" IN ({ids})'
    sql = _selection(_ALL, chosen, "", _task_of_one(connection.vendor))
    return Statement(sql, params)


class Fetched(NamedTuple):
    """The rows of a page of images.

    ``is_cut`` is true if the last images were left out, because properties and tags were too
    long.
    """

    rows: list[Row]
    is_cut: bool


def fetch(selection: Statement) -> list[Row]:
    """Return the rows that a ``statement`` selects. One query.

    A row is a dict of columns, ``locations``, a list of (store, key, metadata), and ``task``:
    status, id and stores of an import, in one text, or None. The import is the newest; for an
    image that has data, it is the import that gave it the data, or its newest copy to other
    stores.
    """
    return fetched_by(Query(selection))


def fetched_by(query: Query) -> list[Row]:
    """Return the rows of the query of a ``statement``, as ``fetch`` does."""
    rows: list[Row] = []
    for values in query.rows():
        # An image with several locations has several consecutive rows.
        if not rows or rows[-1]["id"] != values[0]:
            rows.append(_row(values))
        store, key, metadata = values[-3:]
        if store is not None:
            rows[-1]["locations"].append((store, key, orjson.loads(metadata)))
    return rows


def page_statement(
    branches: Sequence[QuerySet[Image]], sort: Sort, limit: int
) -> Statement | None:
    """Return the statement that ``fetch_page`` executes, or None if no image can match.

    It selects the first ``limit`` rows of several sorted querysets merged, each image once.
    ``branches`` are sorted and limited querysets: one query with OR would scan the whole
    catalogue for a project that owns few images (0.5 s with a million images).
    """
    order = ", ".join(f"i.{_order_sql(*key)}" for key in sort)
    chosen = (
        _compiled(branches[0], *COLUMNS)
        if len(branches) == 1
        else _merged(branches, order, limit)
    )
    if chosen is None:
        return None
    vendor = connection.vendor
    sql = _selection(_without_long(vendor), chosen.sql, order, _task(vendor))
    return Statement(sql, chosen.params)


def fetch_page(page: Statement, length: int) -> Fetched:
    """Return the rows that a ``page_statement`` selects.

    The page ends early after the image at which the long properties and tags of the page reach
    ``length`` characters. One query, and one more for every 16 images with long properties or
    tags.
    """
    return _completed(fetch(page), length)


def row_of(image: Image) -> Row:
    """Return an image as a row, a dict as ``fetch`` returns it, but without locations and task.

    Times are text in UTC, or None. No query.
    """
    row = {column: getattr(image, column) for column in COLUMNS}
    return row | {
        "created_at": str(image.created_at),
        "updated_at": str(image.updated_at),
        "locations": [],
        "task": None,
    }


def order_by(column: str, descending: bool) -> OrderBy:
    """Return the ordering by a column; NULL counts as the lowest value on every database."""
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


def _compiled(images: QuerySet[Image], *columns: str) -> Statement | None:
    """Return the statement that selects these columns of images, None if no image can match."""
    with suppress(EmptyResultSet):
        return compiled(images.values(*columns))
    return None


def _merged(
    branches: Iterable[QuerySet[Image]], order: str, limit: int
) -> Statement | None:
    compiled_branches = (_compiled(branch, "pk") for branch in branches)
    statements = [it for it in compiled_branches if it is not None]
    if not statements:
        return None
    parts = [f"SELECT * FROM ({sql}) AS b{n}" for n, (sql, _) in enumerate(statements)]
    merged = (
        f'SELECT i.* FROM {_IMAGES} i WHERE i."id" IN ({" UNION ".join(parts)})'
        f" ORDER BY {order} LIMIT {limit:d}"
    )
    return Statement(merged, tuple(chain.from_iterable(it.params for it in statements)))


@cache
def _without_long(vendor: str) -> str:
    """Return the columns of a row as SQL, with NULL in place of long properties and tags.

    ``vendor`` is the database: postgresql or sqlite.
    """
    is_short = _IS_SHORT[vendor]
    return ", ".join(
        f"CASE WHEN {is_short} THEN {sql} END" if column in _TEXTS else sql
        for column, sql in _SQL.items()
    )


@cache
def _task(vendor: str) -> str:
    """Return the SQL of the column ``task`` in lists: the newest import, if the image has no data yet."""
    return f"CASE {_import(vendor)} END"


@cache
def _task_of_one(vendor: str) -> str:
    """Return the SQL of the column ``task`` for a few images, with or without data.

    It finds also the import of an image that has data already, which takes too long for lists.
    """
    later = _NEWEST.format(join=_JOIN[vendor], also=_LATER)
    return f"CASE {_import(vendor)} ELSE {later} END"


def _import(vendor: str) -> str:
    newest = _NEWEST.format(join=_JOIN[vendor], also="")
    return f'WHEN i."status" IN ({_STARTING}) THEN {newest}'


def _selection(columns: str, chosen: str, order: str, task: str) -> str:
    order = ", ".join(filter(None, [order, 'i."id"', 'live."id"']))
    return (
        f"SELECT {columns}, {task}, {_LOCATION} FROM ({chosen}) i {_LOCATIONS}"
        f" ORDER BY {order}"
    )


def _completed(page: list[Row], length: int) -> Fetched:
    """Read the long properties and tags that were left out of a page's rows, and return the page.

    Once the texts that are read have ``length`` characters, the page ends before the next row
    without them.
    """
    long = [n for n, row in enumerate(page) if row["properties"] is None]
    for portion in batches(long, PORTION):
        texts = _texts([page[n]["id"] for n in portion])
        for n in portion:
            if length <= 0:
                return Fetched(page[:n], True)
            properties, tags = texts.get(page[n]["id"], REMOVED)
            length -= len(properties) + len(tags)
            page[n] |= {
                "properties": orjson.loads(properties),
                "tags": orjson.loads(tags),
            }
    return Fetched(page, False)


def _texts(ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the properties and the tags of images, both as JSON text, by image id."""
    marks = ", ".join(["%s"] * len(ids))
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT "id", "properties", "tags" FROM {_IMAGES} WHERE "id" IN ({marks})',
            ids,
        )
        return {pk: (properties, tags) for pk, properties, tags in cursor.fetchall()}


def _row(values: Sequence[Any]) -> Row:
    row = dict(zip(_KEYS, values, strict=False))
    # SQLite has no booleans, and JSON is text on both databases.
    row["protected"] = bool(row["protected"])
    row["os_hidden"] = bool(row["os_hidden"])
    for column in _TEXTS:
        row[column] = row[column] and orjson.loads(row[column])
    row["locations"] = []
    return row
