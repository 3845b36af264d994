"""Checks for contradictory rows, in a few database queries for any number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from images import lifecycle
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    ownerless,
)
from images.operations.consistency.finding import BATCH, Finding, batches
from images.transfers import reaper
from images.units import counted

LATE = timedelta(hours=1)  # the background worker runs every few seconds
MANY_ATTEMPTS = 10  # they take more than four hours


def illegal_statuses() -> Iterator[Finding]:
    """Yield findings for images whose status is not one of the life cycle."""
    for row in _rows(Image.objects.exclude(status__in=Status.values), "status"):
        yield Finding(
            "illegal-status", f"'{row['status']}' is not a status", image_id=row["pk"]
        )


def stuck() -> Iterator[Finding]:
    """Yield findings for dead transfers, and for images whose transfer is gone.

    Such images are saving, uploading or importing, and no transfer is running for them.
    """
    for row in _rows(Image.objects.filter(ownerless()), "status"):
        yield Finding(
            "stuck", f"{row['status']}, and no transfer is running", image_id=row["pk"]
        )
    for transfer, reason in reaper.dead_transfers():
        yield Finding(
            "stuck",
            f"transfer {transfer.pk}: {reason}",
            transfer.image_id,
            transfer.store,
            transfer.key,
        )


def without_location() -> Iterator[Finding]:
    """Yield findings for images that should have data and have no location."""
    for statuses, expected in (
        (READABLE_STATUSES, Q(status=LocationStatus.ACTIVE)),
        (
            (Status.PENDING_DELETE,),
            Q(status=LocationStatus.PENDING_DELETE, delete_after=None),
        ),
    ):
        locations = ImageLocation.objects.filter(expected, image=OuterRef("pk"))
        # API v1 can create active images of 0 bytes, which need no location.
        images = Image.objects.filter(~Exists(locations), status__in=statuses)
        for row in _rows(images.exclude(size=0), "status"):
            yield Finding(
                "no-location",
                f"{row['status']}, but it has no location",
                image_id=row["pk"],
            )


def stray_locations() -> Iterator[Finding]:
    """Yield findings for locations that their image should not have in its present status."""
    active = Q(status=LocationStatus.ACTIVE)
    waiting = Q(status=LocationStatus.PENDING_DELETE, delete_after=None)
    strays = ImageLocation.objects.filter(
        (active & ~Q(image__status__in=READABLE_STATUSES))
        | (waiting & ~Q(image__status=Status.PENDING_DELETE))
    )
    for row in _rows(strays, "status", "store", "key", "image_id", "image__status"):
        yield Finding(
            "stray-location",
            f"a location that is {row['status']} on an image that is "
            f"{row['image__status']}",
            row["image_id"],
            row["store"],
            row["key"],
        )


def overdue() -> Iterator[Finding]:
    """Yield findings for objects and trashed images whose deletion is late.

    Late are also objects whose deletion has failed many times.
    """
    now = timezone.now()
    late = ImageLocation.objects.filter(
        Q(delete_after__lt=now - LATE) | Q(delete_attempts__gte=MANY_ATTEMPTS),
        status=LocationStatus.PENDING_DELETE,
    ).exclude(delete_after=None)
    for row in _rows(late, "store", "key", "image_id", "delete_attempts"):
        yield Finding(
            "overdue",
            f"its bytes should be removed; tried {counted(row['delete_attempts'], 'time')}",
            row["image_id"],
            row["store"],
            row["key"],
        )
    late_since = lifecycle.due_until() - LATE
    trash = Image.objects.in_trash().filter(deleted_at__lt=late_since)
    for row in _rows(trash, "deleted_at"):
        yield Finding(
            "overdue",
            f"deleted {row['deleted_at']:%Y-%m-%d %H:%M}, and not scrubbed",
            image_id=row["pk"],
        )


def known_damage() -> Iterator[Finding]:
    """Yield findings for copies that were damaged when a verification read them."""
    columns = ("store", "key", "image_id", "damage", "verified_at")
    for row in _rows(ImageLocation.objects.damaged(), *columns):
        yield Finding(
            "known-damage",
            f"{row['damage']}, when it was read at {row['verified_at']:%Y-%m-%d %H:%M}",
            row["image_id"],
            row["store"],
            row["key"],
        )


ROW_CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    illegal_statuses,
    stuck,
    without_location,
    stray_locations,
    overdue,
)


def _rows(queryset: QuerySet[Any], *columns: str) -> Iterator[dict[str, Any]]:
    """Yield all rows, each as a dict of ``pk`` and ``columns``, in constant memory."""
    if connection.vendor == "postgresql":
        # For ordered pages, which are usually empty, PostgreSQL would read all rows in that order.
        yield from queryset.order_by().values("pk", *columns).iterator(BATCH)
        return
    for page in batches(queryset, *columns):
        yield from page
