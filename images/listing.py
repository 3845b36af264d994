"""Lists of images: visibility for a caller, order, and keyset paging; independent of HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, reduce
from operator import or_
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from images import access, errors
from images.access import Caller
from images.models import Image, Member, rows
from images.models.rows import NULLABLE, Fetched, Row, Sort
from images.models.statements import Placeholders, Statement, Varying

TIE_BREAKERS = ("created_at", "id")
MAX_LENGTH = 2 << 20  # characters of long properties and tags on a page


@dataclass(frozen=True)
class Listing:
    """The parameters of one page of a list: filters, order, and where the page begins."""

    where: Q = field(default_factory=Q)
    visibility: str | None = None  # None: the default list; "all"; or a visibility
    member_status: str = "accepted"  # or pending, rejected, all
    sort: tuple[tuple[str, bool], ...] = ()  # (column, descending)
    marker: str | None = None  # id of the last image of the previous page
    limit: int = 25
    trash: bool = False  # only the trash; for admins only
    deleted: bool | None = False  # True: only deleted images; None: these too
    as_project: bool = False  # an admin sees only what its project sees


class Page(NamedTuple):
    """A page of a list of images: its rows, and the marker with which the next page begins.

    The marker is the id of the last image of the page, None on the last page. ``is_cut`` says
    that the page has fewer images than its limit because their properties and tags are long.
    """

    rows: list[Row]
    marker: str | None  # for the next page; None: this is the last page
    is_cut: bool = False  # fewer images than the limit, because they are long


def page(caller: Caller, listing: Listing) -> Page:
    """Return one page of the images that a caller sees, in one query (two with a marker).

    Images with long properties take a few more queries. A page has fewer images than its limit
    if their long properties and tags reach 2 Mi characters. A rule ``get_image`` in the policy
    file can leave out further images. Raises Invalid if the marker is not the id of an image
    that the caller sees.
    """
    if not listing.limit:
        return Page([], None)
    trusted = False  # the client's marker has to be an image that it sees
    while True:
        found, is_cut = _fetch(caller, listing, trusted)
        shown = access.visible(caller, found)
        if len(found) < listing.limit and not is_cut:
            return Page(shown, None)
        if shown:
            return Page(shown, shown[-1]["id"], is_cut)
        # No link may name an image that the caller is not allowed to see.
        listing, trusted = replace(listing, marker=found[-1]["id"]), True


def _fetch(caller: Caller, listing: Listing, trusted: bool) -> Fetched:
    sort = _complete(listing.sort)
    last = _last(caller, listing.marker, sort, trusted)
    sees_all = caller.is_admin and not listing.as_project
    project = None if sees_all else caller.project
    in_trash = listing.trash and caller.is_admin
    asked = replace(listing, marker=None, sort=sort, trash=in_trash)
    statement = _statement(_Plan(sees_all, project, asked, last))
    return rows.fetch_page(statement, MAX_LENGTH) if statement else Fetched([], False)


@dataclass(frozen=True)
class _Plan:
    """The query of a page of images: the caller's project, the filters, the order, the position."""

    sees_all: bool  # the images of all projects
    project: str | None
    listing: Listing  # without its marker, with the whole order
    # The values of the sort columns of the last image before the page.
    last: tuple[Any, ...] | None


def _statement(plan: _Plan) -> Statement | None:
    """Return the SQL statement of a page of images; None if no image can match.

    Plans that differ only in their values share one compiled statement.
    """
    placeholders = Placeholders()
    try:
        statement = _of_form(_form(plan, placeholders))
        return statement and placeholders.fill_in(statement)
    except Varying:
        return _compiled(plan)


def _form(plan: _Plan, placeholders: Placeholders) -> _Plan:
    """Return a plan with placeholders in place of its values, so that its SQL can be reused.

    Raises Varying if the SQL depends on the values.
    """
    where = placeholders.add_all(plan.listing.where)
    return replace(
        plan,
        project=placeholders.add(plan.project),
        listing=replace(plan.listing, where=where),
        last=plan.last and tuple(map(placeholders.add, plan.last)),
    )


def _compiled(plan: _Plan) -> Statement | None:
    """Compile and return the SQL statement of a page of images; None if no image can match."""
    listing, sort, where = plan.listing, plan.listing.sort, plan.listing.where
    if plan.last is not None:
        where &= _after(sort, plan.last)
    images = _chosen(listing).filter(where)
    images = images.order_by(*(rows.order_by(*key) for key in sort))
    branches = [images.filter(branch)[: listing.limit] for branch in _branches(plan)]
    return rows.page_statement(branches, sort, listing.limit)


_of_form = lru_cache(maxsize=512)(_compiled)


def _chosen(listing: Listing) -> QuerySet[Image]:
    if listing.trash:
        return Image.objects.in_trash()
    if listing.deleted is False:
        return Image.objects.existing()
    not_purged = Image.objects.filter(purged=False)
    if listing.deleted is None:
        return not_purged
    return not_purged.exclude(deleted_at=None)


def _branches(plan: _Plan) -> list[Q]:
    listing, wanted = plan.listing, plan.listing.visibility
    if plan.sees_all:
        return [Q() if wanted in (None, "all") else Q(visibility=wanted)]
    own = Q(owner=plan.project)
    if wanted not in (None, "all"):
        own &= Q(visibility=wanted)
    branches = [own]
    if wanted in (None, "all", "public"):
        branches.append(Q(visibility="public"))
    if wanted in ("all", "community"):
        branches.append(Q(visibility="community"))
    if wanted in (None, "all", "shared"):
        branches.append(_shared_with(plan.project, listing.member_status))
    return branches


def _shared_with(project: str | None, member_status: str) -> Q:
    members = Member.objects.filter(member=project)
    if member_status != "all":
        members = members.filter(status=member_status)
    return Q(visibility="shared", pk__in=members.values("image"))


def _complete(sort: Sort) -> tuple[tuple[str, bool], ...]:
    # If all keys have one direction, the tie-breakers get it too, so that an index can be used.
    directions = {descending for _, descending in sort}
    last = directions.pop() if len(directions) == 1 else True
    named = {column for column, _ in sort}
    rest = ((column, last) for column in TIE_BREAKERS if column not in named)
    return (*sort, *rest)


def _last(
    caller: Caller, marker: str | None, sort: Sort, trusted: bool
) -> tuple[Any, ...] | None:
    """Return the values of the sort columns of the image with the id ``marker``; None without one.

    ``trusted`` says that the caller is known to see this image. Raises Invalid if the caller sees
    no image with this id.
    """
    if marker is None:
        return None
    # A deleted image is a valid marker: clients that delete page by page must be able to continue.
    try:
        row = access.find(caller, marker, deleted=True)
        if not trusted and not access.visible(caller, [row]):
            raise access.missing(marker)
    except errors.NotFound:
        raise errors.Invalid(
            f"Marker {marker} is not an image that you can see. "
            "Use the id of the last image of the previous page."
        ) from None
    return tuple(_value(row, column) for column, _ in sort)


def _after(sort: Sort, values: Sequence[Any]) -> Q:
    """Return the condition for the images after one that has these values in the sort columns."""
    last = dict(zip((column for column, _ in sort), values, strict=True))
    alternatives, same = [], Q()
    for column, descending in sort:
        alternatives.append(same & _beyond(column, last[column], descending))
        same &= Q(**{column: last[column]})
    # The bound of the first key is implied, but lets the database start inside the index.
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
        return Q()  # rows without a value come after it too
    return Q(**{f"{column}__{'lte' if descending else 'gte'}": value})


def _value(row: Row, column: str) -> Any:
    if column not in ("created_at", "updated_at"):
        return row[column]
    at = datetime.fromisoformat(row[column])
    return at if at.tzinfo else at.replace(tzinfo=UTC)
