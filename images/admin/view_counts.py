"""The numbers of images in the saved views of the image list, all counted by one SQL statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from images.models import Image

COUNTED: Final = 1_000  # images of each view; of longer ones the page says "1,000+"


def count(querysets: Mapping[str, QuerySet[Image]]) -> dict[str, int]:
    """Return the number of images in each query, by the same names. One SQL statement.

    A number greater than 1,000 (COUNTED) is returned as 1,001.
    """
    counts = dict.fromkeys(querysets, 0)
    names, parts, params = [], [], list[Any]()
    for name, images in querysets.items():
        first = images.order_by().values("pk")[: COUNTED + 1]
        try:
            sql, values = first.query.sql_with_params()
        except EmptyResultSet:
            continue
        names.append(name)
        parts.append(f"(SELECT COUNT(*) FROM ({sql}) AS counted)")
        params += values
    if names:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(parts)}", params)
            counts |= dict(zip(names, cursor.fetchone(), strict=True))
    return counts


def shown(number: int) -> str:
    """Return a number of images as a tab shows it: ``37``, or ``1,000+``."""
    return f"{number:,}" if number <= COUNTED else f"{COUNTED:,}+"
