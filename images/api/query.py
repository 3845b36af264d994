"""The query parameters that the lists of all API versions have in common.

Only parses them; reads no data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from images.attributes import clean_text
from images.errors import Invalid
from images.units import parse_number

MAX_LIMIT: Final = 1000  # entries on a page
MAX_CONDITIONS: Final = 100  # databases limit the depth of an expression
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

_INTEGER = re.compile("-?[0-9]+")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?",
    re.ASCII,
)


def pairs(params: QueryDict) -> Iterator[tuple[str, str]]:
    """Yield (name, value) for each query parameter; once per value if a name has several values."""
    for name, values in params.lists():
        for value in values:
            yield name, str(value)


def check_text(params: QueryDict) -> None:
    """Raise Invalid if a name or value of a parameter has characters that a database cannot compare.

    NUL is one of them.
    """
    for name, value in pairs(params):
        clean_text(name, "query parameter", longest=None)
        clean_text(value, "value of a query parameter", longest=None)


def check_conditions(count: int) -> None:
    """Raise Invalid if ``count``, the number of filters in a request, is above MAX_CONDITIONS."""
    if count > MAX_CONDITIONS:
        raise Invalid(f"A list takes at most {MAX_CONDITIONS} filters. Leave some out.")


def integer(name: str, value: str) -> int:
    """Convert the value of the parameter ``name`` to an integer. Raises Invalid for other text.

    Integers beyond 64 bits become the largest or smallest 64-bit integer, so that they still
    compare correctly.
    """
    text = value.strip()
    if not _INTEGER.fullmatch(text):
        raise Invalid(f"The value of {name} must be an integer.")
    return parse_number(text)


def limit(params: QueryDict) -> int:
    """Return the number of entries on a page: the parameter ``limit``, 25 without it.

    A value above MAX_LIMIT becomes MAX_LIMIT. Raises Invalid if the value is negative or not an
    integer.
    """
    number = integer("limit", params.get("limit", "25"))
    if number < 0:
        raise Invalid("The limit must not be negative.")
    return min(number, MAX_LIMIT)


def page_length(params: Mapping[str, str]) -> int:
    """Return the number of entries on a page of a list that Glance does not have.

    It is the parameter ``limit``, 100 without it. A value above MAX_LIMIT becomes MAX_LIMIT. Raises
    Invalid if the value is below 1 or not an integer.
    """
    number = integer("limit", params.get("limit", "100"))
    if number < 1:
        raise Invalid("The limit must be at least 1.")
    return min(number, MAX_LIMIT)


def number_marker(params: Mapping[str, str]) -> int | None:
    """Return the parameter ``marker`` of a list whose markers are integers; None without it.

    Raises Invalid if the parameter is not an integer.
    """
    marker = params.get("marker")
    return None if marker is None else integer("marker", marker)


def order(keys: list[tuple[str, str]], choices: Sequence[str] = SORT_KEYS) -> Order:
    """Convert (sort key, direction) pairs to (column, descending) pairs.

    ``choices`` are the keys by which the list can be sorted. The direction is ``asc``, ``desc``, or
    empty for descending. A repeated key has no effect. Raises Invalid for unknown keys and
    directions, and for too many keys.
    """
    if len(keys) > MAX_CONDITIONS:
        raise Invalid(
            f"A list takes at most {MAX_CONDITIONS} sort keys. Leave some out."
        )
    chosen: dict[str, bool] = {}
    for key, direction in keys:
        key, direction = key.strip(), direction.strip() or "desc"
        if key not in choices:
            raise Invalid(f"The sort key must be one of: {', '.join(choices)}.")
        if direction not in ("asc", "desc"):
            raise Invalid("The sort direction must be asc or desc.")
        chosen.setdefault(key, direction == "desc")  # a repeated key has no effect
    return tuple(chosen.items())


def sort(params: QueryDict, choices: Sequence[str]) -> tuple[str, bool]:
    """Return the column by which the request sorts a list, and whether the order is descending.

    By default ``created_at``, descending. Raises Invalid for a column that is not in
    ``choices``, and for an unknown direction.
    """
    key = params.get("sort_key", "created_at"), params.get("sort_dir", "desc")
    return order([key], choices)[0]


def links(path: str, params: QueryDict, next_marker: str | None) -> dict[str, str]:
    """Return the path of a list's first page (``first``) and, with a marker, of its next page (``next``).

    Both paths keep the other query parameters of the request, with all values of a repeated one.
    """
    repeated = [(name, value) for name, value in pairs(params) if name != "marker"]
    first = {"first": _with_query(path, repeated)}
    if next_marker is None:
        return first
    return first | {"next": _with_query(path, [*repeated, ("marker", next_marker)])}


def _with_query(path: str, params: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(params)}" if params else path


def instant(name: str, text: str) -> tuple[datetime, datetime]:
    """Return the start (inclusive) and the end (exclusive) of a time given in ISO 8601.

    A time without a fraction stands for its whole second. For a time with a fraction, start and end
    are equal. Raises Invalid if the text is not a time; ``name`` is the parameter's name, for the
    message.
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
