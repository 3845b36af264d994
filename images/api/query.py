"""Query strings: what lists of every version are asked with. Reads parameters only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from django.http import QueryDict

from images.attributes import clean_text
from images.errors import Invalid

MAX_LIMIT: Final = 1000  # images on a page
MAX_CONDITIONS: Final = 200  # databases limit how deep an expression may be
LARGEST: Final = 2**63 - 1
SORT_KEYS: Final = (
    "name",
    "status",
    "container_format",
    "disk_format",
    "size",
    "id",
    "created_at",
    "updated_at",
)

Order = tuple[tuple[str, bool], ...]  # (column, descending)

_INTEGER = re.compile("-?[0-9]{1,19}")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?",
    re.ASCII,
)


def pairs(params: QueryDict) -> Iterator[tuple[str, str]]:
    """Every parameter, in order, with each of its values."""
    for name, values in params.lists():
        for value in values:
            yield name, str(value)


def check_text(params: QueryDict) -> None:
    """Raise Invalid for what no database can compare."""
    for name, value in pairs(params):
        clean_text(name, "query parameter", longest=None)
        clean_text(value, "value of a query parameter", longest=None)


def check_conditions(count: int) -> None:
    """Raise Invalid for more conditions than a list may be asked with."""
    if count > MAX_CONDITIONS:
        raise Invalid(f"A list takes at most {MAX_CONDITIONS} filters. Leave some out.")


def integer(name: str, value: str) -> int:
    """A number that every database can keep. Raises Invalid."""
    text = value.strip()
    if not _INTEGER.fullmatch(text) or abs(int(text)) > LARGEST:
        raise Invalid(f"The value of {name} must be an integer of at most 64 bits.")
    return int(text)


def limit(params: QueryDict) -> int:
    """How many images a page has: 25 unless asked, at most MAX_LIMIT. Raises Invalid."""
    number = integer("limit", params.get("limit", "25"))
    if number < 0:
        raise Invalid("The limit must not be negative.")
    return min(number, MAX_LIMIT)


def order(keys: list[tuple[str, str]]) -> Order:
    """From (sort key, direction) pairs; no direction is descending. Raises Invalid."""
    chosen: dict[str, bool] = {}
    for key, direction in keys:
        key, direction = key.strip(), direction.strip() or "desc"
        if key not in SORT_KEYS:
            raise Invalid(f"The sort key must be one of: {', '.join(SORT_KEYS)}.")
        if direction not in ("asc", "desc"):
            raise Invalid("The sort direction must be asc or desc.")
        chosen.setdefault(key, direction == "desc")  # a second time it orders nothing
    return tuple(chosen.items())


def instant(name: str, text: str) -> tuple[datetime, datetime]:
    """From when (inclusive) until when (exclusive); both the same for an exact time.

    Raises Invalid.
    """
    try:
        return _instant(text)
    except (ValueError, OverflowError):
        raise Invalid(
            f"{name} must be a time in ISO 8601, such as 2026-01-31T12:00:00Z."
        ) from None


def _instant(text: str) -> tuple[datetime, datetime]:
    if not _TIME.fullmatch(text):
        raise ValueError(text)
    time = datetime.fromisoformat(text)
    start = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    exact = "." in text or "," in text
    return start, start if exact else start + timedelta(seconds=1)
