"""Findings of the consistency checks, and reading of tables in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

BATCH = 500  # rows


@dataclass(frozen=True)
class Finding:
    """A deviation that a check has found.

    ``size`` (bytes) is set only for findings about objects.
    """

    kind: str
    message: str
    image_id: str = ""
    store: str = ""
    key: str = ""
    size: int | None = None


def batches(queryset: QuerySet[Any], *columns: str) -> Iterator[list[dict[str, Any]]]:
    """Yield all rows as dicts of ``pk`` and ``columns``, in pages of BATCH, ordered by pk.

    No cursor stays open between two pages: on SQLite an open cursor would make all later
    queries see the state at its opening.
    """
    ordered = queryset.order_by("pk").values("pk", *columns)
    page = list(ordered[:BATCH])
    while page:
        yield page
        page = list(ordered.filter(pk__gt=page[-1]["pk"])[:BATCH])
