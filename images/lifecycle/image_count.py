"""The check of a project's number of images against its limit.

Deleted images do not count, nor do images in the trash.
"""

from __future__ import annotations

from images.models import Image
from images.transfers import limits, quota
from images.units import counted

# More images than requests can create at once: with so many left, no lock is needed.
MARGIN = 1000


def check_adding(owner: str | None) -> None:
    """Raise QuotaExceeded if a project already has as many images as its limit allows.

    Call it in the transaction that adds an image: near the limit it locks the project until the
    transaction ends, so that concurrent requests cannot exceed the limit together.
    """
    limit = limits.of(owner)[limits.COUNT_TOTAL]
    if limit is None or not _has(owner, limit - MARGIN):
        return
    quota.lock_project(owner)
    if _has(owner, limit):
        raise quota.refusal(
            limits.COUNT_TOTAL,
            f"The project has {counted(limit, 'image')}, which is the limit. "
            "Delete images that are not needed, or ask for a higher limit.",
        )


def _has(owner: str | None, number: int) -> bool:
    """Return whether a project has at least ``number`` images."""
    if number <= 0:
        return True
    own = Image.objects.existing().filter(owner=owner)
    # An index has this order, so the database reads only the rows that it needs.
    return own.order_by("-created_at", "-id")[number - 1 : number].exists()
