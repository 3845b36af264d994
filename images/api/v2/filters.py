"""The query parameters of ``GET /v2/images``: filters, order and page.

Only parses parameters. ``images.listing`` applies visibility and fetches the page.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime
from functools import reduce
from typing import Final

from django.db.models import Q
from django.http import QueryDict

from images.access import Caller, check_filter
from images.api import query
from images.api.query import (
    Order,
    check_conditions,
    check_text,
    instant,
    integer,
    limit,
    order,
    pairs,
)
from images.attributes import VISIBILITIES
from images.errors import Invalid
from images.listing import Listing

MAX_IN: Final = 1000  # databases limit the length of a list
MAX_IN_ALL: Final = 2000  # of all lists in a request
MEMBER_STATUSES: Final = ("accepted", "pending", "rejected", "all")
TEXTS: Final = ("name", "id", "status", "container_format", "disk_format")
PLAIN: Final = ("owner", "checksum", "os_hash_algo", "os_hash_value")
NUMBERS: Final = ("size", "virtual_size", "min_ram", "min_disk")
TIMES: Final = ("created_at", "updated_at")
NOT_CONDITIONS: Final = frozenset(
    (
        "limit",
        "marker",
        "sort",
        "sort_key",
        "sort_dir",
        "visibility",
        "member_status",
        "deleted",
    )
)
REFUSED: Final = frozenset({"changes-since", "properties", "locations"})

_OPERATOR = re.compile("(eq|neq|gt|gte|lt|lte|in):(.*)", re.DOTALL)
_TIME_OPERATOR = re.compile("([A-Za-z]*):(.*)", re.DOTALL)
_IN_ITEM = re.compile(r'(?:"((?:[^"\\]|\\.)*)"|([^",]*))(,|\Z)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

NOTHING: Final = Q(pk__in=[])
TRASH: Final = (Q(status="pending_delete"), Q(status__in=["pending_delete"]))


def parse(params: QueryDict, caller: Caller) -> Listing:
    """Return the filters, order and page that the query parameters ask for, as a Listing.

    Raises Invalid for malformed values, Forbidden for a property that the caller cannot read.
    """
    check_text(params)
    return Listing(
        where=_where(params, caller),
        visibility=_choice(params, "visibility", (*VISIBILITIES, "all")),
        member_status=_choice(params, "member_status", MEMBER_STATUSES) or "accepted",
        sort=_sort(params),
        marker=params.get("marker"),
        limit=limit(params),
        trash=_asks_for_trash(params),
    )


def links(params: QueryDict, next_marker: str | None) -> dict[str, str]:
    """Return the paths of two pages of ``GET /v2/images``: ``first``, and ``next`` if there is a marker."""
    return query.links("/v2/images", params, next_marker)


def _choice(params: QueryDict, name: str, choices: tuple[str, ...]) -> str | None:
    value = params.get(name)
    if value is None or value in choices:
        return value
    raise Invalid(f"The value of {name} must be one of: {', '.join(choices)}.")


# The order


def _sort(params: QueryDict) -> Order:
    classic = params.getlist("sort_key"), params.getlist("sort_dir")
    if "sort" not in params:
        return _classic_sort(*classic)
    if any(classic):
        raise Invalid("Use either sort or sort_key and sort_dir, not both.")
    items = [item for text in params.getlist("sort") for item in text.split(",")]
    return order([item.partition(":")[::2] for item in items])


def _classic_sort(keys: list[str], directions: list[str]) -> Order:
    if not keys and not directions:
        return ()
    keys = keys or ["created_at"]
    if len(directions) <= 1:
        directions = (directions or ["desc"]) * len(keys)
    if len(keys) != len(directions):
        raise Invalid(
            "The numbers of sort_key and sort_dir differ. "
            "Give one sort_dir for all, or one for each sort_key."
        )
    return order(list(zip(keys, directions, strict=True)))


# The conditions


def _where(params: QueryDict, caller: Caller) -> Q:
    filters = [pair for pair in pairs(params) if pair[0] not in NOT_CONDITIONS]
    check_conditions(len(filters))
    if sum(value.count(",") for _, value in filters) > MAX_IN_ALL:
        raise Invalid(
            f"The lists have more than {MAX_IN_ALL} values together. Leave some out."
        )
    # Lists leave hidden images out. The trash has them, so that operators can restore them.
    with_hidden = "os_hidden" in params or _asks_for_trash(params)
    conditions = [] if with_hidden else [Q(os_hidden=False)]
    properties: dict[str, str] = {}
    for name, value in filters:
        if name in CONDITIONS:
            conditions.append(CONDITIONS[name](name, value))
        elif name in REFUSED:
            raise Invalid(
                f"Images cannot be filtered by {name}. Leave the parameter out."
            )
        elif properties.setdefault(name, value) != value:
            conditions.append(NOTHING)
    for name in properties:
        check_filter(caller, name)
    if properties:
        conditions.append(Q(properties__holds=properties))
    return reduce(operator.and_, conditions, Q())


def _asks_for_trash(params: QueryDict) -> bool:
    """Return whether the request lists the trash: all filters by ``status`` ask for ``pending_delete``.

    False without a filter by ``status``.
    """
    return "status" in params and all(
        _text("status", value) in TRASH for value in params.getlist("status")
    )


def _text(name: str, value: str) -> Q:
    # An unknown prefix belongs to the value, as in the image name "debian:13".
    match = _OPERATOR.fullmatch(value)
    if match is None:
        return Q((name, value))
    op, rest = match.groups()
    if op == "eq":
        return Q((name, rest))
    if op == "in":
        return Q((f"{name}__in", _items(name, rest)))
    raise Invalid(f"The operator {op} is not supported for {name}. Use eq or in.")


def _items(name: str, text: str) -> list[str]:
    """Return the values in a list such as ``a,"b,c"``.

    A backslash within quotes escapes a character. Raises Invalid if the list is malformed or has
    more than MAX_IN values; ``name`` is the parameter's name, for the message.
    """
    items, position, more = [], 0, True
    while more:
        match = _IN_ITEM.match(text, position)
        if match is None:
            raise Invalid(
                f'The list for {name} is malformed. Put quotes around whole values ("a,b").'
            )
        quoted, bare, comma = match.groups()
        items.append(bare if quoted is None else _ESCAPED.sub(r"\1", quoted))
        position, more = match.end(), bool(comma)
        if len(items) > MAX_IN:
            raise Invalid(
                f"The list for {name} has more than {MAX_IN} values. Leave some out."
            )
    return items


def _plain(name: str, value: str) -> Q:
    return Q((name, value))


def _number(name: str, value: str) -> Q:
    return Q((name, integer(name, value)))


def _at_least(name: str, value: str) -> Q:
    return Q((f"{name.removesuffix('_min')}__gte", integer(name, value)))


def _at_most(name: str, value: str) -> Q:
    return Q((f"{name.removesuffix('_max')}__lte", integer(name, value)))


def _protected(name: str, value: str) -> Q:
    if value not in ("true", "false"):
        raise Invalid("The value of protected must be true or false, in lower case.")
    return Q(protected=value == "true")


def _os_hidden(name: str, value: str) -> Q:
    if value.lower() not in ("true", "false"):
        raise Invalid("The value of os_hidden must be true or false.")
    return Q(os_hidden=value.lower() == "true")


def _tag(name: str, value: str) -> Q:
    return Q(tags__holds=[value])


def _time(name: str, value: str) -> Q:
    """Return the query condition for a filter by time, such as ``gte:2026-01-31``.

    ``name`` is the column. A time without a fraction stands for its whole second, because the API
    shows whole seconds. Raises Invalid for malformed values.
    """
    match = _TIME_OPERATOR.fullmatch(value)
    op, text = match.groups() if match else ("eq", value)
    start, end = instant(name, text)
    inside = _between(name, start, end)
    by_operator = {
        "eq": inside,
        "neq": ~inside,
        "gt": Q((f"{name}__gt" if end == start else f"{name}__gte", end)),
        "gte": Q((f"{name}__gte", start)),
        "lt": Q((f"{name}__lt", start)),
        "lte": Q((f"{name}__lte" if end == start else f"{name}__lt", end)),
    }
    if op not in by_operator:
        raise Invalid(
            f"The operator {op[:64]} is not supported for {name}. "
            f"Use one of: {', '.join(by_operator)}."
        )
    return by_operator[op]


def _between(name: str, start: datetime, end: datetime) -> Q:
    if start == end:
        return Q((name, start))
    return Q((f"{name}__gte", start), (f"{name}__lt", end))


CONDITIONS: Final[dict[str, Callable[[str, str], Q]]] = {
    **dict.fromkeys(TEXTS, _text),
    **dict.fromkeys(PLAIN, _plain),
    **dict.fromkeys(NUMBERS, _number),
    **{f"{name}_min": _at_least for name in NUMBERS},
    **{f"{name}_max": _at_most for name in NUMBERS},
    **dict.fromkeys(TIMES, _time),
    "protected": _protected,
    "os_hidden": _os_hidden,
    "tag": _tag,
}
