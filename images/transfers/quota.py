"""How many bytes the images of a project may have together: IMAGECATALOG_USER_STORAGE_QUOTA.

Each copy of an image counts. What is in the trash does not: who deletes has room at once.
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

LOCK = 7402  # the first key of our advisory locks; the second is the project's


def room(image: Image) -> int | None:
    """How many bytes more its owner may have, those on their way not counted; None: any number."""
    if not settings.IMAGECATALOG_USER_STORAGE_QUOTA:
        return None
    held = ImageLocation.objects.filter(
        status=LocationStatus.ACTIVE,
        image__owner=image.owner,
        image__deleted_at=None,
    )
    used = held.aggregate(used=Sum("image__size"))["used"] or 0
    return settings.IMAGECATALOG_USER_STORAGE_QUOTA - int(used)


def check_coming(image: Image, size: int | None) -> None:
    """Raise OverLimit when so many bytes (None: some) are more than there is room for.

    Asked before they come, so that nobody sends them in vain. Counts those of other images
    that are on their way.
    """
    left = room(image)
    if left is None:
        return
    others = Transfer.objects.filter(
        status=TransferStatus.RUNNING, image__owner=image.owner
    ).exclude(
        status_on_failure=Status.IMPORTING
    )  # the same bytes as the upload it is of
    coming = Sum(Coalesce("bytes_expected", "bytes_received"))
    left -= others.exclude(image=image).aggregate(coming=coming)["coming"] or 0
    if (1 if size is None else size) > left:
        raise exceeded()


def check_adding(image: Image, size: int) -> None:
    """Raise OverLimit when so many bytes more are too many, in the transaction that adds them.

    Decides in the end: of several images of a project that are completed at once each sees
    those before it.
    """
    if not settings.IMAGECATALOG_USER_STORAGE_QUOTA:
        return
    if connection.vendor == "postgresql":  # elsewhere one transaction writes at a time
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, hashtext(%s))",
                [LOCK, image.owner or ""],
            )
    left = room(image)
    if left is not None and size > left:
        raise exceeded()


def exceeded() -> errors.OverLimit:
    """The refusal of more bytes than a project may have."""
    return errors.OverLimit(
        "The project's images would have more than the "
        f"{settings.IMAGECATALOG_USER_STORAGE_QUOTA} bytes that it may have. "
        "Delete images that are not needed, or ask for a larger quota."
    )
