"""The storage quota of a project, in bytes: IMAGECATALOG_USER_STORAGE_QUOTA.

Each copy of an image counts. Images in the trash do not count, so deletion frees space at once.
"""

from __future__ import annotations

from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Coalesce

from images import errors
from images.models import (
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    Transfer,
    TransferStatus,
)

LOCK = 7402  # first key of the advisory locks of quotas; the second is a hash of the project


def remaining(image: Image) -> int | None:
    """Return how many more bytes the image's owner is allowed to store; None: no limit.

    Running transfers are not counted.
    """
    if not settings.IMAGECATALOG_USER_STORAGE_QUOTA:
        return None
    locations = ImageLocation.objects.filter(
        status=LocationStatus.ACTIVE,
        image__owner=image.owner,
        image__deleted_at=None,
    )
    used = locations.aggregate(used=Sum("image__size"))["used"] or 0
    return settings.IMAGECATALOG_USER_STORAGE_QUOTA - int(used)


def check_announced(image: Image, size: int | None) -> None:
    """Raise OverLimit if ``size`` more bytes (None: at least one) exceed the owner's quota.

    Called before a transfer, so that no client sends data in vain. Counts the running transfers
    of the owner's other images.
    """
    left = remaining(image)
    if left is None:
        return
    running = Transfer.objects.filter(
        status=TransferStatus.RUNNING, image__owner=image.owner
    ).exclude(
        status_on_failure=Status.IMPORTING
    )  # an import has the same bytes as its resumable upload
    coming = Sum(Coalesce("bytes_expected", "bytes_received"))
    left -= running.exclude(image=image).aggregate(coming=coming)["coming"] or 0
    if (1 if size is None else size) > left:
        raise exceeded()


def check_adding(image: Image, size: int) -> None:
    """Raise OverLimit if ``size`` more bytes exceed the quota of the image's owner.

    Call it in the transaction that adds the bytes. This is the decisive check: when several
    images of a project are completed at once, each check sees the images before it.
    """
    if not settings.IMAGECATALOG_USER_STORAGE_QUOTA:
        return
    if connection.vendor == "postgresql":  # SQLite allows one writer at a time
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, hashtext(%s))",
                [LOCK, image.owner or ""],
            )
    left = remaining(image)
    if left is not None and size > left:
        raise exceeded()


def exceeded() -> errors.OverLimit:
    """Return the error for data that exceeds the project's quota."""
    return errors.OverLimit(
        "The project's images would exceed its quota of "
        f"{settings.IMAGECATALOG_USER_STORAGE_QUOTA} bytes. "
        "Delete images that are not needed, or ask for a larger quota."
    )
