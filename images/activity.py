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
class Conditions:
    """The conditions on the events of one kind, by the help that the database has for them.

    With ``has_few``, an index finds all events that match ``others``, and they are few.
    """

    indexed: tuple[Q, ...] = ()  # each has an index that is sorted by time
    others: Q = field(default_factory=Q)
    has_few: bool = False


@dataclass(frozen=True)
class Selection:
    """A selection of events: one condition for those of images, another for those of families.

    None as a condition selects no event of that kind. With ``before``, only events that are older
    than this position are selected.
    """

    images: Conditions | None = field(default_factory=Conditions)
    families: Conditions | None = field(default_factory=Conditions)
    period: Q = field(default_factory=Q)  # a condition on the time
    before: Position | None = None  # only events that are older


class Page(NamedTuple):
    """A page of the activity: its events, newest first, and where the next page begins.

    ``older`` is None if no older event matches. With ``is_partial`` the search for older events
    ended there, because it had read enough; the page can be empty.
    """

    events: list[Record]
    older: Position | None
    is_partial: bool = False


def page(selection: Selection, limit: int, most: int) -> Page:
    """Return the newest ``limit`` events of a selection, each as a dict: column -> value.

    Besides COLUMNS and OWN_COLUMNS, an event has ``kind`` (image or family), ``subject`` (the id)
    and ``subject_name``. Reads about ``most`` events of each kind to find them. One query for each
    kind, and one for each indexed condition.
    """
    found: list[Record] = []
    ends: list[Position] = []
    for kind, conditions, rows in _selected(selection):
        matching, end = _searched(kind, conditions, rows, limit, most)
        ends += [end] if end else []
        columns = (*COLUMNS, *OWN_COLUMNS[kind])
        newest = matching.order_by("-at", "-pk").values(*columns, **SUBJECTS[kind])
        found += [{**event, "kind": kind} for event in newest[: limit + 1]]
    last = max(ends, default=None)
    found = [event for event in found if last is None or position(event) >= last]
    found.sort(key=position, reverse=True)
    if len(found) > limit:
        return Page(found[:limit], position(found[limit - 1]))
    return Page(found, last, is_partial=last is not None)


def _searched(
    kind: str, conditions: Conditions, rows: QuerySet[Any], limit: int, most: int
) -> tuple[QuerySet[Any], Position | None]:
    """Return the query for those of ``rows`` that match, and where its search ends, as ``_end``."""
    indexed, others = conditions.indexed, conditions.others
    if conditions.has_few or not indexed:
        end = _end(kind, rows, most) if others and not conditions.has_few else None
        if end:
            rows = rows.filter(at__gte=end.at)
        return rows.filter(*indexed, others), end
    by, end, read = indexed[0], None, limit + 1
    if others or len(indexed) > 1:
        ends = [(_end(kind, rows.filter(one), most), one) for one in indexed]
        # Whose search reads all that there is, else whose search gets furthest.
        end, by = min(ends, key=lambda pair: (pair[0] is not None, pair[0]))
        read = most + 1
    # The keys are read from the index of the condition alone. Without this, a plan that PostgreSQL
    # has made for any value looks for a rare one in all events, the newest first.
    keys = rows.filter(by).order_by("-at", "-pk").values("pk")[:read]
    rest = [condition for condition in indexed if condition is not by]
    return rows.model.objects.filter(*rest, others, pk__in=keys), end


def _end(kind: str, rows: QuerySet[Any], most: int) -> Position | None:
    """Return the place of the event after the newest ``most`` of ``rows``; None if there is none."""
    ordered = rows.order_by("-at", "-pk").values_list("at", "pk")
    last = ordered[most : most + 1].first()
    return last and Position(last[0], kind, last[1])


def stream(selection: Selection, batch: int, most: int) -> Iterator[list[Record]]:
    """Yield all events of a selection, newest first, in lists of at most ``batch`` events.

    Reads about ``most`` events for each list, and as many more as it needs.
    """
    while True:
        found = page(selection, batch, most)
        yield found.events
        if not found.older:
            return
        selection = replace(selection, before=found.older)


def position(event: Record) -> Position:
    """Return the place of an event in the activity."""
    return Position(event["at"], event["kind"], event["id"])


def _selected(
    selection: Selection,
) -> Iterator[tuple[str, Conditions, QuerySet[Any]]]:
    """Yield each kind with its conditions, and the query for its events of the time."""
    period, before = selection.period, selection.before
    if selection.images is not None:
        images = Event.objects.filter(period, _older(IMAGE, before))
        yield IMAGE, selection.images, images
    if selection.families is not None:
        families = FamilyEvent.objects.filter(period, _older(FAMILY, before))
        yield FAMILY, selection.families, families


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
