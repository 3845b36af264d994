"""Checks that the history of every image leads, by legal transitions, to its status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.db import transaction

from images.models import EDGES, Event, Image
from images.operations.consistency.finding import Finding, batches

LEGAL = frozenset((edge.source, edge.target) for edge in EDGES)


def broken_histories() -> Iterator[Finding]:
    """Yield findings for images whose events do not lead, one by one, to the image's status.

    Purged images have no history.
    """
    for page in batches(Image.objects.filter(purged=False), "status"):
        statuses = {row["pk"]: row["status"] for row in page}
        for image_id, fault in _confirmed(list(faults(statuses))).items():
            yield Finding("history", fault, image_id=image_id)


def _confirmed(suspects: list[str]) -> dict[str, str]:
    """Check these images again under a lock, and return the first fault of each, by id.

    An image can change between two queries, which looks like a fault.
    """
    if not suspects:
        return {}
    rows = Image.objects.filter(pk__in=suspects, purged=False).order_by("pk")
    with transaction.atomic():
        return faults(dict(rows.select_for_update().values_list("pk", "status")))


def faults(statuses: Mapping[str, str]) -> dict[str, str]:
    """Return the first fault in the history of each image, by id, given the images' statuses.

    An image without a fault is left out.
    """
    last: dict[str, str] = {}
    wrong: dict[str, str] = {}
    # Ordered by image first: PostgreSQL would otherwise scan all events in the order of ids.
    events = Event.objects.filter(image__in=list(statuses)).order_by("image_id", "pk")
    for image_id, before, after in events.values_list(
        "image_id", "from_status", "to_status"
    ).iterator():
        fault = _fault(last.get(image_id, ""), before, after)
        if fault:
            wrong.setdefault(image_id, fault)
        last[image_id] = after
    for image_id, status in statuses.items():
        if image_id not in last:
            wrong[image_id] = "there is no event at all"
        elif last[image_id] != status:
            wrong.setdefault(
                image_id,
                f"the last event led to {last[image_id]}, the image is {status}",
            )
    return wrong


def _fault(previous: str, before: str, after: str) -> str:
    if before != previous:
        return (
            f"an event begins at {before or 'nothing'}, but the one before it led to "
            f"{previous or 'nothing'}"
        )
    # The first event only has the status in which the image was created.
    if previous and before != after and (before, after) not in LEGAL:
        return f"there is no transition from {before} to {after}"
    return ""
