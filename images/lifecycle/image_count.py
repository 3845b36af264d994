"""The check of a project's number of images against its limit.

Deleted images do not count, nor do those in the trash.
"""

from __future__ import annotations

from images import errors
from images.models import Image
from images.transfers import limits, quota
from images.units import counted

# More images than requests can create at once: so far below the limit no lock is needed.
MARGIN = 1000


def check_adding(owner: str | None) -> None:
    """Raise QuotaExceeded if a project has as many images as it may have.

    Call it in the transaction that adds an image.
    """
    limit = limits.of(owner)[limits.COUNT_TOTAL]
    if limit is None or not _has(owner, limit - MARGIN):
        return
    quota.lock_project(owner)
    if _has(owner, limit):
        raise errors.QuotaExceeded(
            limits.COUNT_TOTAL,
            f"The project has {counted(limit, 'image')}, which is the limit. "
            "Delete images that are not needed, or ask for a higher limit.",
        )


def _has(owner: str | None, number: int) -> bool:
    """Return whether a project has at least ``number`` images."""
    if number <= 0:
        return True
    own = Image.objects.existing().filter(owner=owner)
    # The order is that of an index, of which no more is read than needed.
    return own.order_by("-created_at", "-id")[number - 1 : number].exists()
