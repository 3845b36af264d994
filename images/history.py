"""The history of an image: its events, and its last failed transfer. Read-only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, F, QuerySet, RowRange, Sum, TextField, Window
from django.db.models.functions import Cast, Coalesce, Length

from images.access import Caller, readable
from images.models import OPEN_STATUSES, Event, Transfer, TransferStatus

COLUMNS = (
    "id",
    "at",
    "verb",
    "from_status",
    "to_status",
    "actor",
    "project",
    "interface",
    "request_id",
    "reason",
    "detail",
)

MAX_LENGTH = 4 << 20  # characters of the details on a page

Record = dict[str, Any]

# For PostgreSQL: in the order of the ids themselves, it would look for an image's events among those of
# all images.
_PLACE = F("pk") + 0
_LENGTH = Length(Cast("detail", TextField()))


class Page(NamedTuple):
    """A page of an image's history: its events, and whether more events match."""

    events: list[Record]
    has_more: bool  # more match: later events from `events`, earlier ones from `newest`


def events(
    image_id: str,
    *,
    actor: str | None = None,
    interface: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int | None = None,
    limit: int = 100,
) -> Page:
    """Return a page of an image's events, oldest first, each as a dict: column -> value.

    ``after`` is the id of the last event of the previous page; ``since`` is inclusive,
    ``until`` exclusive. The page has fewer than ``limit`` events if the details of these events
    reach 4 Mi characters. The page is empty if the image is unknown. One query.
    """
    matching = _matching(image_id, actor, interface, since, until)
    if after is not None:
        matching = matching.filter(pk__gt=after)
    return _page(matching, "pk", limit)


def last_change_of_owner(image_id: str) -> tuple[int, datetime] | None:
    """Return (id, time) of the event that last changed an image's owner; None if there is none.

    One query.
    """
    changed = Event.objects.filter(
        image=image_id, verb="update", detail__has_key="owner"
    )
    return changed.order_by(_PLACE.desc()).values_list("pk", "at").first()


def last_change_of_status(image_id: str) -> Record | None:
    """Return the event that last changed an image's status, as a dict; None if there is none.

    The dict has ``at``, ``to_status``, ``actor`` and ``reason``. One query.
    """
    changed = Event.objects.filter(image=image_id).exclude(to_status=F("from_status"))
    columns = ("at", "to_status", "actor", "reason")
    event = changed.order_by(_PLACE.desc()).values(*columns).first()
    return dict(event) if event else None


def newest(
    image_id: str,
    *,
    actor: str | None = None,
    interface: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> Page:
    """Return a page of an image's last events, oldest first, each as a dict: column -> value.

    With ``before``, the id of an event, only earlier events are returned; ``since`` is
    inclusive, ``until`` exclusive. The page has fewer than ``limit`` events if the details of
    these events reach 4 Mi characters. One query.
    """
    matching = _matching(image_id, actor, interface, since, until)
    if before is not None:
        matching = matching.filter(pk__lt=before)
    page = _page(matching, "-pk", limit)
    return page._replace(events=page.events[::-1])


def _page(matching: QuerySet[Event], order: str, limit: int) -> Page:
    place = _PLACE.desc() if order.startswith("-") else _PLACE.asc()
    first = matching.order_by(place).values("pk")[: limit + 1]  # one more: has_more
    length_before = Window(
        Sum(_LENGTH), order_by=order, frame=RowRange(start=None, end=-1)
    )
    measured = Event.objects.filter(pk__in=first).annotate(
        before=Coalesce(length_before, 0), matching=Window(Count("pk"))
    )
    short = measured.filter(before__lt=MAX_LENGTH).order_by(order)
    fetched = list(short.values(*COLUMNS, "matching")[:limit])
    has_more = bool(fetched) and fetched[0]["matching"] > len(fetched)
    return Page(
        [{name: event[name] for name in COLUMNS} for event in fetched], has_more
    )


def _matching(
    image_id: str,
    actor: str | None,
    interface: str | None,
    since: datetime | None,
    until: datetime | None,
) -> QuerySet[Event]:
    conditions = {
        "actor": actor,
        "interface": interface,
        "at__gte": since,
        "at__lt": until,
    }
    present = {name: value for name, value in conditions.items() if value is not None}
    return Event.objects.filter(image=image_id, **present)


def visible_detail(event: Mapping[str, Any], caller: Caller) -> Record:
    """Return the detail of an event, without the custom properties that the caller cannot read."""
    if event["verb"] != "update":
        return dict(event["detail"])
    return dict(readable(caller, event["detail"]))


def last_error(image_id: str) -> Record | None:
    """Return the error of an image's last ended transfer; None if it succeeded or none has ended.

    The error is a dict of ``code``, ``error`` (a message for users), ``request_id`` and ``at``.
    One query.
    """
    ended = Transfer.objects.filter(image=image_id).exclude(status__in=OPEN_STATUSES)
    newest = ended.order_by(F("ended_at").desc(nulls_last=True), "-started_at").values(
        "status", "error_code", "error", "request_id", "ended_at"
    )
    transfer = newest.first()
    if transfer is None or transfer["status"] == TransferStatus.DONE:
        return None
    return {
        "code": transfer["error_code"],
        "error": transfer["error"],
        "request_id": transfer["request_id"],
        "at": transfer["ended_at"],
    }
