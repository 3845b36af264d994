"""Reading the catalogue: who sees what in a list, order, and keyset paging. Knows no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet

from images import access, errors
from images.access import Caller
from images.models import Image, Member, rows
from images.models.rows import NULLABLE, Row, Sort

TIE_BREAKERS = ("created_at", "id")


@dataclass(frozen=True)
class Listing:
    """One page that is asked for."""

    where: Q = field(default_factory=Q)
    visibility: str | None = None  # None: the default view; "all"; or one of the four
    member_status: str = "accepted"  # or pending, rejected, all
    sort: tuple[tuple[str, bool], ...] = ()  # (column, descending)
    marker: str | None = None  # the id of the last image of the page before
    limit: int = 25
    trash: bool = False  # what can still be restored, and nothing else; admins only
    deleted: bool | None = False  # True: nothing but what is deleted; None: that too
    as_project: bool = False  # also an admin sees only what its project does


def page(caller: Caller, listing: Listing) -> list[Row]:
    """The rows of one page, in one query (two with a marker). Raises Invalid: no such marker."""
    if not listing.limit:
        return []
    sort = _complete(listing.sort)
    where = listing.where & _after(caller, listing.marker, sort)
    images = _chosen(caller, listing).filter(where)
    images = images.order_by(*(rows.order_by(*key) for key in sort))
    branches = [
        images.filter(branch)[: listing.limit] for branch in _branches(caller, listing)
    ]
    return rows.fetch_page(branches, sort, listing.limit)


def _chosen(caller: Caller, listing: Listing) -> QuerySet[Image]:
    if listing.trash and caller.is_admin:
        return Image.objects.in_trash()
    if listing.deleted is False:
        return Image.objects.existing()
    remembered = Image.objects.filter(purged=False)
    if listing.deleted is None:
        return remembered
    return remembered.exclude(deleted_at=None)


def _branches(caller: Caller, listing: Listing) -> list[Q]:
    wanted = listing.visibility
    if caller.is_admin and not listing.as_project:
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


def _after(caller: Caller, marker: str | None, sort: Sort) -> Q:
    if marker is None:
        return Q()
    # Also a deleted marker: who deletes page by page must be able to go on.
    try:
        row = access.see(caller, marker, deleted=True)
    except errors.NotFound:
        raise errors.Invalid(
            f"Marker {marker} is not an image that you can see. "
            "Use the id of the last image of the page before."
        ) from None
    last = {column: _value(row, column) for column, _ in sort}
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


def _value(row: Row, column: str) -> Any:
    if column not in ("created_at", "updated_at"):
        return row[column]
    moment = datetime.fromisoformat(row[column])
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
