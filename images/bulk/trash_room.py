"""The images of a bulk deletion for which the trashes of their projects have no room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from images import errors, stores
from images.models import READABLE_STATUSES, Image, ImageLocation, LocationStatus
from images.transfers import limits, usage

ROWS: Final = 5000  # read at once

HELD: Final = Q(locations__status=LocationStatus.ACTIVE) & ~Q(
    locations__store=stores.HTTP.id
)


@dataclass
class Overflow:
    """Images without room in the trash: their number by project, their bytes, and the ids of some."""

    images: Counter[str | None] = field(default_factory=Counter)
    size: int = 0  # bytes of the images, each counted once
    ids: set[str] = field(default_factory=set)


def overflow(images: QuerySet[Image], watched: set[str]) -> Overflow:
    """Return those of ``images`` that a bulk deletion would refuse, because the trash is full.

    ``images`` are those that it would delete otherwise; of their ids, the result names those in
    ``watched``. Three queries, and one that reads the images of projects whose trash gets full.
    """
    found = Overflow()
    if not settings.IMAGECATALOG_DELAYED_DELETE:
        return found
    try:
        room = _room(images)
    except errors.LimitsUnknown:
        # The job asks again, and then refuses what has no room.
        return found
    for image_id, owner, size, copies in _held(images, room):
        needed = size * copies
        if needed <= room[owner]:
            room[owner] -= needed
            continue
        found.images[owner] += 1
        found.size += size
        found.ids |= {image_id} & watched
    return found


def _room(images: QuerySet[Image]) -> dict[str | None, int]:
    """Return how many bytes the trashes have room for that cannot take all ``images``, by project."""
    limit = limits.of_all_trash()
    held = ImageLocation.objects.filter(
        status=LocationStatus.ACTIVE,
        image__status__in=READABLE_STATUSES,
        image__in=images.values("pk"),
    ).exclude(store=stores.HTTP.id)
    needed = usage.by_owner(held, "image__size")
    limited = {owner: most for owner in needed if (most := limit(owner)) is not None}
    if not limited:
        return {}
    used = usage.by_owner(usage.in_trash(), "image__size")
    room = {owner: most - used.get(owner, 0) for owner, most in limited.items()}
    return {owner: left for owner, left in room.items() if needed[owner] > left}


def _held(
    images: QuerySet[Image], owners: Collection[str | None]
) -> Iterator[tuple[str, str | None, Any, int]]:
    """Yield the images of projects with copies in our stores, in the order of their deletion.

    Each is (id, owner, bytes, number of copies).
    """
    if not owners:
        return
    named = Q(owner__in=[owner for owner in owners if owner is not None])
    if None in owners:
        named |= Q(owner=None)
    rows = images.filter(named, status__in=READABLE_STATUSES, size__gt=0)
    rows = rows.annotate(copies=Count("locations", filter=HELD)).filter(copies__gt=0)
    columns = rows.order_by("created_at", "pk").values_list(
        "pk", "owner", "size", "copies"
    )
    yield from columns.iterator(ROWS)
