"""The activity of the whole catalogue: the events of all images and families, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db.models import F, Q, QuerySet

from images.models import Event, FamilyEvent

Record = dict[str, Any]

IMAGE: Final = "image"
FAMILY: Final = "family"
COLUMNS: Final = (
    "id",
    "at",
    "verb",
    "actor",
    "project",
    "interface",
    "request_id",
    "reason",
    "detail",
)
OWN_COLUMNS: Final = {
    IMAGE: ("from_status", "to_status"),
    FAMILY: ("from_version", "to_version"),
}
SUBJECTS: Final = {
    IMAGE: {"subject": F("image_id"), "subject_name": F("image__name")},
    FAMILY: {"subject": F("family"), "subject_name": F("name")},
}


class Position(NamedTuple):
    """The place of an event in the activity: its time, its kind and its id."""

    at: datetime
    kind: str
    id: int


@dataclass(frozen=True)
class Selection:
    """A selection of events: one condition for those of images, another for those of families.

    None as a condition selects no event of that kind. With ``before``, only events that are older
    than this position are selected.
    """

    images: Q | None = field(default_factory=Q)
    families: Q | None = field(default_factory=Q)
    before: Position | None = None  # only events that are older


class Page(NamedTuple):
    """A page of the activity: its events, newest first, and whether older ones match."""

    events: list[Record]
    has_older: bool


def page(selection: Selection, limit: int) -> Page:
    """Return the newest ``limit`` events of a selection, each as a dict: column -> value.

    Besides COLUMNS and OWN_COLUMNS, an event has ``kind`` (image or family), ``subject`` (the id)
    and ``subject_name``. One query for each kind.
    """
    found: list[Record] = []
    for kind, rows in _selected(selection):
        columns = (*COLUMNS, *OWN_COLUMNS[kind])
        newest = rows.order_by("-at", "-pk").values(*columns, **SUBJECTS[kind])
        found += [{**event, "kind": kind} for event in newest[: limit + 1]]
    found.sort(key=position, reverse=True)
    return Page(found[:limit], len(found) > limit)


def stream(selection: Selection, batch: int) -> Iterator[list[Record]]:
    """Yield all events of a selection, newest first, in lists of at most ``batch`` events."""
    while True:
        events, has_older = page(selection, batch)
        yield events
        if not has_older:
            return
        selection = replace(selection, before=position(events[-1]))


def position(event: Record) -> Position:
    """Return the place of an event in the activity."""
    return Position(event["at"], event["kind"], event["id"])


def _selected(selection: Selection) -> Iterator[tuple[str, QuerySet[Any]]]:
    before = selection.before
    if selection.images is not None:
        images = Event.objects.filter(selection.images, _older(IMAGE, before))
        yield IMAGE, images
    if selection.families is not None:
        families = FamilyEvent.objects.filter(
            selection.families, _older(FAMILY, before)
        )
        yield FAMILY, families


def _older(kind: str, before: Position | None) -> Q:
    """Return the condition for the events of one kind that are older than the position ``before``.

    ``kind`` is image or family. None as ``before`` gives a condition that all events meet.
    """
    if before is None:
        return Q()
    if kind != before.kind:
        return Q(at__lte=before.at) if kind < before.kind else Q(at__lt=before.at)
    # The bound of the time is implied, but lets the database start inside the index.
    return Q(at__lte=before.at) & (
        Q(at__lt=before.at) | Q(at=before.at, pk__lt=before.id)
    )
