"""What the audit says when something is wrong, and how it walks a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

BATCH = 500  # rows


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. ``size`` in bytes, where bytes are what is wrong."""

    kind: str
    message: str
    image_id: str = ""
    store: str = ""
    key: str = ""
    size: int | None = None


def batches(found: QuerySet[Any], *columns: str) -> Iterator[list[dict[str, Any]]]:
    """All rows as dicts of ``pk`` and ``columns``, a page at a time, in the order of pk.

    No cursor stays open between two pages: on SQLite an open one would hold all later
    questions back at the state of its own.
    """
    ordered = found.order_by("pk").values("pk", *columns)
    page = list(ordered[:BATCH])
    while page:
        yield page
        page = list(ordered.filter(pk__gt=page[-1]["pk"])[:BATCH])
