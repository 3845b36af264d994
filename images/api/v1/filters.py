"""The query parameters of the lists of API v1: filters, order and page."""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import Any, Final

from django.db.models import Q
from django.http import QueryDict

from images import access
from images.access import Caller
from images.api import query
from images.errors import Invalid
from images.listing import Listing

TEXTS: Final = ("name", "status", "container_format", "disk_format")
NUMBERS: Final = ("min_ram", "min_disk", "size_min", "size_max")
PROPERTY: Final = "property-"
BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False, "none": None}
EVERYTHING: Final = Q()


def parse(params: QueryDict, caller: Caller) -> Listing:
    """Return the filters, order and page that the query parameters ask for, as a Listing.

    Raises Invalid for malformed values, Forbidden for a property that the caller cannot read.
    """
    query.check_text(params)
    is_public = _boolean(params, "is_public", True)
    all_projects = caller.is_admin and is_public is not True
    for name in params:
        if name.startswith(PROPERTY):
            access.check_filter(caller, name.removeprefix(PROPERTY))
    filters = [_condition(name, value) for name, value in query.pairs(params)]
    conditions = [condition for condition in filters if condition]
    query.check_conditions(len(conditions))
    if all_projects and is_public is False:
        conditions.append(~Q(visibility="public"))
    if not (all_projects and is_public is None):
        conditions.append(Q(os_hidden=False))
    key, direction = params.get("sort_key", ""), params.get("sort_dir", "")
    return Listing(
        where=reduce(and_, conditions, EVERYTHING),
        member_status="all",
        sort=query.order([(key or "created_at", direction)]),
        marker=params.get("marker"),
        limit=query.limit(params),
        deleted=_deleted(params, caller),
        as_project=not all_projects,
    )


def _condition(name: str, value: str) -> Q:
    if name in TEXTS:
        return Q((name, value))
    if name in NUMBERS:
        return _number(name, value)
    if name == "protected":
        protected = _choice(name, value, BOOLEANS)
        return EVERYTHING if protected is None else Q(protected=protected)
    if name == "changes-since":
        return Q(updated_at__gte=_time(value))
    if name.startswith(PROPERTY):
        return Q(properties__holds={name.removeprefix(PROPERTY): value})
    return EVERYTHING


def _number(name: str, value: str) -> Q:
    try:
        number = query.integer(name, value)
    except Invalid:
        raise _bad(name, value) from None
    if number < 0:
        raise _bad(name, value)
    # An image without a size is shown with the size 0.
    if name == "size_min":
        return Q(size__gte=number) if number else EVERYTHING
    if name == "size_max":
        return Q(size__lte=number) | Q(size=None)
    return Q((name, number))


def _time(value: str) -> Any:
    try:
        # A plus sign that was not encoded arrives as a blank.
        return query.instant("changes-since", value.replace(" 0", "+0"))[0]
    except Invalid:
        raise Invalid(f"Unrecognized changes-since value: {value[:64]}") from None


def _deleted(params: QueryDict, caller: Caller) -> bool | None:
    deleted = _boolean(params, "deleted", False)
    if "changes-since" in params:
        return None
    return bool(deleted) and caller.is_admin


def _boolean(params: QueryDict, name: str, default: bool) -> bool | None:
    value = params.get(name)
    return default if value is None else _choice(name, value, BOOLEANS)


def _choice(name: str, value: str, choices: dict[str, Any]) -> Any:
    if value.lower() not in choices:
        raise _bad(name, value)
    return choices[value.lower()]


def _bad(name: str, value: str) -> Invalid:
    return Invalid(f"Bad value passed to filter {name} got {value[:64]}")
