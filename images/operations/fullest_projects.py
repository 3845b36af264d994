"""The projects that use most of the storage that their limits allow."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.utils import timezone

from images.models import ImageLocation, LocationStatus
from images.transfers import limits, usage

DAYS = 30  # over which the growth is measured
MOST_DAYS = 36_500  # further ahead no date is named


def above(percent: int) -> list[dict[str, Any]]:
    """Return the projects that use at least ``percent`` % of their limit ``image_size_total``.

    The fullest project comes first. Each has its limit, its use (with reserved bytes) and its
    growth in the last 30 days, in MiB, and the day on which it will reach its limit at this
    rate. Four queries.
    """
    stored = ImageLocation.objects.filter(
        status=LocationStatus.ACTIVE, image__deleted_at=None
    )
    since = timezone.now() - timedelta(days=DAYS)
    used = usage.by_owner(stored, "image__size")
    for owner, count in usage.by_owner(
        usage.reserving_transfers(), usage.RESERVED
    ).items():
        used[owner] = used.get(owner, 0) + count
    grown = usage.by_owner(stored.filter(created_at__gte=since), "image__size")
    allowed = limits.of_all(limits.SIZE_TOTAL)
    full = [
        _document(owner, count, limit, grown.get(owner, 0))
        for owner, count in used.items()
        if (limit := allowed(owner)) is not None and count * 100 >= limit * percent
    ]
    return sorted(full, key=lambda project: -project["percent"])


def _document(owner: str | None, used: int, limit: int, grown: int) -> dict[str, Any]:
    unit = limits.UNITS[limits.SIZE_TOTAL]
    full_on = _full_on(limit - used, grown)
    return {
        "project": owner,
        "limit": limit // unit,
        "used": used // unit,
        "percent": used * 100 // max(limit, 1),
        "growth": grown // unit,
        "full_on": full_on and full_on.isoformat(),
    }


def _full_on(left: int, grown: int) -> date | None:
    today = timezone.now().date()
    if left <= 0:
        return today
    if not grown or left * DAYS // grown > MOST_DAYS:
        return None
    return today + timedelta(days=left * DAYS // grown)
