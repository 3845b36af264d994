"""Reading the catalogue: rows for the wire, who sees what in a list, order and keyset paging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import groupby
from operator import itemgetter, or_
from typing import Any

from django.db.models import F, FilteredRelation, OrderBy, Q, QuerySet

from images import access, errors
from images.access import Caller
from images.models import Image, LocationStatus, Member

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
)
LOCATION_COLUMNS = ("live__store", "live__key", "live__metadata")
NULLABLE = {"name", "size", "disk_format", "container_format"}
TIE_BREAKERS = ("created_at", "id")

Row = dict[str, Any]
Sort = Sequence[tuple[str, bool]]


@dataclass(frozen=True)
class Listing:
    """One page that is asked for."""

    where: Q = field(default_factory=Q)
    visibility: str | None = None  # None: the default view; "all"; or one of the four
    member_status: str = "accepted"  # or pending, rejected, all
    sort: tuple[tuple[str, bool], ...] = ()  # (column, descending)
    marker: str | None = None  # the id of the last image of the page before
    limit: int = 25


def page(caller: Caller, listing: Listing) -> list[Row]:
    """The rows of one page, in one query (two with a marker). Raises Invalid: no such marker."""
    if not listing.limit:
        return []
    sort = _complete(listing.sort)
    order = [_order(column, descending) for column, descending in sort]
    where = listing.where & _after(caller, listing.marker, sort)
    images = Image.objects.existing().filter(where).order_by(*order)
    branches = [
        images.filter(branch)[: listing.limit] for branch in _branches(caller, listing)
    ]
    return rows(Image.objects.filter(pk__in=_newest(branches, order)), order)


def one(caller: Caller, image_id: str) -> Row:
    """The row of one image. Raises NotFound, also for what the caller does not see."""
    found = rows(Image.objects.existing().filter(access.seen_by(caller), pk=image_id))
    if not found:
        raise access.missing(image_id)
    return found[0]


def rows(images: QuerySet[Image], order: Sequence[OrderBy] = ()) -> list[Row]:
    """Columns and live locations of these images, in one query and without model instances.

    Each row has ``locations``: a list of (store, key, metadata).
    """
    joined = (
        images.alias(
            live=FilteredRelation(
                "locations", condition=Q(locations__status=LocationStatus.ACTIVE)
            )
        )
        .order_by(*order, "live__id")
        .values_list(*COLUMNS, *LOCATION_COLUMNS)
    )
    width = len(COLUMNS)
    result = []
    for _, group in groupby(joined, key=itemgetter(0)):
        copies = list(group)
        row = dict(zip(COLUMNS, copies[0], strict=False))
        row["locations"] = [copy[width:] for copy in copies if copy[width] is not None]
        result.append(row)
    return result


def row_of(image: Image) -> Row:
    """The row of an image that has no location."""
    return {column: getattr(image, column) for column in COLUMNS} | {"locations": []}


def _newest(
    branches: Sequence[QuerySet[Image]], order: Sequence[OrderBy]
) -> QuerySet[Any, Any]:
    # Each branch is cut before they are merged. One big OR would walk the whole catalogue
    # for a project that owns little (0.5 s with a million images).
    ids = [branch.values("pk") for branch in branches]
    if len(ids) == 1:
        return ids[0]
    # SQLite takes no LIMIT within a UNION, but one within a sub-select of its parts.
    parts = [Image.objects.filter(pk__in=branch).values("pk") for branch in ids]
    merged = parts[0].order_by().union(*[part.order_by() for part in parts[1:]])
    limit = branches[0].query.high_mark
    return Image.objects.filter(pk__in=merged).order_by(*order)[:limit].values("pk")


def _branches(caller: Caller, listing: Listing) -> list[Q]:
    wanted = listing.visibility
    if caller.is_admin:
        return [Q() if wanted in (None, "all") else Q(visibility=wanted)]
    own = Q(owner=caller.project)
    if wanted not in (None, "all"):
        own &= Q(visibility=wanted)
    branches = [own]
    if wanted in (None, "all", "public"):
        branches.append(Q(visibility="public"))
    if wanted in ("all", "community"):
        branches.append(Q(visibility="community"))
    if wanted in (None, "all", "shared"):
        branches.append(_shared_with(caller, listing.member_status))
    return branches


def _shared_with(caller: Caller, member_status: str) -> Q:
    members = Member.objects.filter(member=caller.project)
    if member_status != "all":
        members = members.filter(status=member_status)
    return Q(visibility="shared", pk__in=members.values("image"))


def _complete(sort: Sort) -> Sort:
    # One direction for all keys runs along an index in one direction; so do the tie-breakers.
    directions = {descending for _, descending in sort}
    last = directions.pop() if len(directions) == 1 else True
    named = {column for column, _ in sort}
    return [*sort, *((column, last) for column in TIE_BREAKERS if column not in named)]


def _order(column: str, descending: bool) -> OrderBy:
    # Without a value counts as lowest, on every database.
    if column not in NULLABLE:
        return F(column).desc() if descending else F(column).asc()
    if descending:
        return F(column).desc(nulls_last=True)
    return F(column).asc(nulls_first=True)


def _after(caller: Caller, marker: str | None, sort: Sort) -> Q:
    if marker is None:
        return Q()
    # Also a deleted marker: who deletes page by page must be able to go on.
    columns = [column for column, _ in sort]
    found = Image.objects.filter(access.seen_by(caller), pk=marker).values(*columns)
    last = found.first()
    if last is None:
        raise errors.Invalid(
            f"Marker {marker} is not an image that you can see. "
            "Use the id of the last image of the page before."
        )
    alternatives, same = [], Q()
    for column, descending in sort:
        alternatives.append(same & _beyond(column, last[column], descending))
        same &= Q(**{column: last[column]})
    # The first key's bound is implied, but without it no index is walked from the right place.
    return _from(*sort[0], last[sort[0][0]]) & reduce(or_, alternatives)


def _beyond(column: str, value: Any, descending: bool) -> Q:
    if value is None:
        return Q(pk__in=[]) if descending else Q(**{f"{column}__isnull": False})
    if not descending:
        return Q(**{f"{column}__gt": value})
    less = Q(**{f"{column}__lt": value})
    return less | Q(**{column: None}) if column in NULLABLE else less


def _from(column: str, descending: bool, value: Any) -> Q:
    if column in NULLABLE and (descending or value is None):
        return Q()  # those without a value are beyond it too
    return Q(**{f"{column}__{'lte' if descending else 'gte'}": value})
