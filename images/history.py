"""Reading what has happened to an image: its events, and why it has no data. Changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet

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

Record = dict[str, Any]


def events(
    image_id: str,
    *,
    actor: str | None = None,
    interface: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int | None = None,
    limit: int = 100,
) -> list[Record]:
    """A page of an image's history, oldest first: one dict of COLUMNS an event.

    ``after`` is the id of the last event of the page before; ``since`` is included, ``until``
    is not. An image without a history, or without a row, has no events. One query.
    """
    found = _chosen(image_id, actor, interface, since, until)
    if after is not None:
        found = found.filter(pk__gt=after)
    return list(found.order_by("pk").values(*COLUMNS)[:limit])


def newest(
    image_id: str,
    *,
    actor: str | None = None,
    interface: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> list[Record]:
    """The last ``limit`` events, oldest first, as ``events`` gives them. One query."""
    found = _chosen(image_id, actor, interface, since, until)
    return list(found.order_by("-pk").values(*COLUMNS)[:limit])[::-1]


def _chosen(
    image_id: str,
    actor: str | None,
    interface: str | None,
    since: datetime | None,
    until: datetime | None,
) -> QuerySet[Event]:
    wanted = {"actor": actor, "interface": interface, "at__gte": since, "at__lt": until}
    given = {name: value for name, value in wanted.items() if value is not None}
    return Event.objects.filter(image=image_id, **given)


def last_error(image_id: str) -> Record | None:
    """Why the last attempt to bring data in failed; None when a later one succeeded, or none failed.

    A dict of ``code``, ``error`` (a sentence for a person), ``request_id`` and ``at``. One query.
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
