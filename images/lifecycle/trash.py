"""Deletion in two steps: marked and committed first, the bytes go in a step that can be repeated."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from images import errors, stores
from images.access import Caller, operator
from images.lifecycle import leases
from images.lifecycle.edges import locked, move
from images.models import (
    READABLE_STATUSES,
    TRANSIENT_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
)

log = logging.getLogger(__name__)

BATCH = 500
RETRY = timedelta(minutes=1)


def delete(image_id: str, by: Caller, reason: str = "") -> None:
    """Delete an image; with delayed deletion it can be restored until the scrub time is over.

    A transfer that is under way is ended. A store that cannot be reached is no failure: its
    bytes are removed later. Raises Forbidden when the image is protected, NotFound.
    """
    with locked(image_id) as image:
        if image.protected:
            raise errors.Forbidden(
                f"Image {image_id} is protected and cannot be deleted. "
                "Set its 'protected' to false first."
            )
        if image.status in TRANSIENT_STATUSES:
            leases.cancel(image)
        held = _held(image)
        if settings.IMAGECATALOG_DELAYED_DELETE and held:
            move(image, image.mark_pending_delete, "delete", by, reason=reason)
            for location in held:
                withdraw(location, None)
            return
        move(image, image.mark_deleted, "delete", by, reason=reason)
        for location in held:
            withdraw(location, timezone.now())
    _remove_all(held)


def _held(image: Image) -> list[ImageLocation]:
    if image.status not in READABLE_STATUSES:
        return []
    return list(image.locations.filter(status=LocationStatus.ACTIVE))


def withdraw(location: ImageLocation, delete_after: datetime | None) -> None:
    """Take a location from its image. Its bytes go after that time; None: with the image."""
    location.mark_pending_delete()
    location.delete_after = delete_after
    location.save(update_fields=["status", "delete_after"])


def restore(image_id: str, by: Caller, reason: str = "") -> None:
    """Bring a deleted image back, in the status that it had and with all that it had.

    Raises Conflict unless it is ``pending_delete``, NotFound.
    """
    with locked(image_id, deleted=True) as image:
        move(image, image.mark_restored, "restore", by, reason=reason)
        for location in _trashed(image):
            location.mark_restored()
            location.save(update_fields=["status", "delete_after"])


def scrub(
    image_id: str, by: Caller, reason: str = "", deleted_before: datetime | None = None
) -> None:
    """Delete a ``pending_delete`` image for good, whatever its scrub time.

    Raises Conflict in any other status, and when it was deleted (again) later than
    ``deleted_before``; NotFound.
    """
    with locked(image_id, deleted=True) as image:
        if deleted_before and image.deleted_at and image.deleted_at > deleted_before:
            raise errors.Conflict(f"Image {image_id} was restored and deleted again.")
        move(image, image.mark_scrubbed, "scrub", by, reason=reason)
        held = list(_trashed(image))
        for location in held:
            location.delete_after = timezone.now()
            location.save(update_fields=["delete_after"])
    _remove_all(held)


def scrub_due(by: Caller | None = None, *, dry_run: bool = False) -> list[str]:
    """Scrub every image whose scrub time is over; their ids."""
    by = by or operator("worker")
    horizon = timezone.now() - timedelta(seconds=settings.IMAGECATALOG_SCRUB_TIME)
    due = Image.objects.filter(status=Status.PENDING_DELETE, deleted_at__lte=horizon)
    ids = list(due.order_by("deleted_at").values_list("pk", flat=True))
    if dry_run:
        return ids
    return [image_id for image_id in ids if _scrubbed(image_id, by, horizon)]


def _scrubbed(image_id: str, by: Caller, deleted_before: datetime) -> bool:
    try:
        scrub(image_id, by, "scrub time is over", deleted_before)
    except (errors.Conflict, errors.NotFound):
        return False  # restored or scrubbed by somebody else meanwhile
    return True


def sweep() -> int:
    """Remove the bytes of all locations whose time has come; how many are gone."""
    due = ImageLocation.objects.filter(
        status=LocationStatus.PENDING_DELETE, delete_after__lte=timezone.now()
    )
    return _remove_all(list(due.order_by("delete_after")[:BATCH]))


def _trashed(image: Image) -> list[ImageLocation]:
    # Those with a time of their own had been taken from the image before it was deleted.
    gone = image.locations.filter(
        status=LocationStatus.PENDING_DELETE, delete_after=None
    )
    return list(gone)


def _remove_all(locations: list[ImageLocation]) -> int:
    removed, away = 0, set()
    for location in locations:
        # One store that hangs must not keep the others waiting once for each location.
        if location.store not in away:
            if _remove(location):
                removed += 1
            else:
                away.add(location.store)
    return removed


def _remove(location: ImageLocation) -> bool:
    try:
        stores.get(location.store).delete(location.key)
    except errors.ImageError as error:
        log.warning("location %s is not deleted yet", location.pk, exc_info=error)
        ImageLocation.objects.filter(pk=location.pk).update(
            delete_after=timezone.now() + RETRY
        )
        return False
    with transaction.atomic():
        rows = ImageLocation.objects.select_for_update()
        row = rows.filter(pk=location.pk, status=LocationStatus.PENDING_DELETE).first()
        if row is not None:
            row.mark_deleted()
            row.save(update_fields=["status"])
    return True
