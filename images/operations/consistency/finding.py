"""Findings of the consistency checks, and reading of tables in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

BATCH = 500  # rows


@dataclass(frozen=True)
class Finding:
    """A fault in rows, histories or stores that a consistency check has found.

    ``size`` (bytes) is set only for findings about stored objects.
    """

    kind: str
    message: str
    image_id: str = ""
    store: str = ""
    key: str = ""
    size: int | None = None


def batches(queryset: QuerySet[Any], *columns: str) -> Iterator[list[dict[str, Any]]]:
    """Yield all rows in pages of 500, ordered by pk: a row is a dict of ``pk`` and ``columns``.

    No cursor stays open between two pages: on SQLite an open cursor would make all later
    queries see the database as it was when the cursor was opened.
    """
    ordered = queryset.order_by("pk").values("pk", *columns)
    page = list(ordered[:BATCH])
    while page:
        yield page
        page = list(ordered.filter(pk__gt=page[-1]["pk"])[:BATCH])
