"""Purge: erase everything about images that were deleted long ago, except for their ids.

If a project has too many deleted images, the background worker purges its oldest ones.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from images.duty import Duty
from images.models import (
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    Transfer,
    UploadChunk,
)

log = logging.getLogger(__name__)

BATCH = 200  # images per transaction
KEPT = ("id", "status", "deleted_at")


def purge_deleted(
    before: datetime,
    *,
    after: str = "",
    batch: int = BATCH,
    release_ids: bool = False,
    dry_run: bool = False,
) -> list[str]:
    """Purge a batch of images that were deleted ``before`` a time; return their ids.

    Takes images with ids above ``after`` in one short transaction; no ids are returned when no
    image is left. The row stays, empty, to reserve the id; ``release_ids`` deletes the row too,
    also of images that were purged before. An image whose bytes may still be in a store is
    skipped. With ``dry_run`` nothing is changed.
    """
    with transaction.atomic():
        due = _due(before, release_ids).filter(_no_bytes(), pk__gt=after).order_by("pk")
        if dry_run:
            return list(due.values_list("pk", flat=True)[:batch])
        ids = list(due.select_for_update().values_list("pk", flat=True)[:batch])
        if release_ids:
            Image.objects.filter(pk__in=ids).delete()
        else:
            _empty(ids)
    return ids


def purge_total(before: datetime, *, release_ids: bool = False) -> tuple[int, int]:
    """Return how many images deleted ``before`` a time can be purged, and how many cannot yet.

    Images cannot be purged while their bytes may still be in a store. ``release_ids`` also
    counts images that were purged before but whose ids are still reserved.
    """
    due = _due(before, release_ids)
    ready = due.filter(_no_bytes()).count()
    return ready, due.count() - ready


def purge_excess() -> None:
    """Purge the oldest deleted images of projects that have too many of them.

    IMAGECATALOG_DELETED_IMAGES is the number that each project keeps.
    """
    most = settings.IMAGECATALOG_DELETED_IMAGES
    if most < 0:
        return
    # Of all columns: the index of deleted images does not have their ids.
    counts = _deleted().values_list("owner").annotate(count=Count("*")).order_by()
    for owner, count in counts.filter(count__gt=most):
        purged = _purge_oldest(owner, count - most)
        log.info(
            "purged %d deleted images of project %s, which keeps %d",
            purged,
            owner,
            most,
        )


def _purge_oldest(owner: str | None, number: int) -> int:
    """Purge the ``number`` oldest deleted images of a project; return how many were purged.

    Images whose bytes may still be in a store are skipped, so fewer images can be purged.
    """
    images = _deleted().filter(_no_bytes(), owner=owner).order_by("deleted_at", "pk")
    left = number
    while left:
        with transaction.atomic():
            oldest = images.select_for_update().values_list("pk", flat=True)
            ids = list(oldest[: min(left, BATCH)])
            _empty(ids)
        if not ids:
            break
        left -= len(ids)
    return number - left


def _deleted() -> QuerySet[Image]:
    return Image.objects.filter(status=Status.DELETED, purged=False)


def _due(before: datetime, release_ids: bool) -> QuerySet[Image]:
    due = Image.objects.filter(status=Status.DELETED, deleted_at__lt=before)
    return due if release_ids else due.filter(purged=False)


def _no_bytes() -> Q:
    # A deleted image gets no new location, transfer or chunk, so no lock is needed.
    locations = ImageLocation.objects.filter(image=OuterRef("pk"))
    remaining = locations.exclude(status=LocationStatus.DELETED)
    chunks = UploadChunk.objects.filter(transfer__image=OuterRef("pk"))
    unclean = Transfer.objects.with_bytes().filter(image=OuterRef("pk"))
    partly = Transfer.objects.partly_unclean().filter(image=OuterRef("pk"))
    return Q(~Exists(remaining), ~Exists(unclean), ~Exists(partly), ~Exists(chunks))


def _empty(ids: list[str]) -> None:
    for relation in Image._meta.related_objects:
        related = relation.related_model._default_manager
        related.filter(**{f"{relation.field.name}__in": ids}).delete()
    cleared = {
        field.attname: field.get_default()
        for field in Image._meta.concrete_fields
        if field.attname not in KEPT
    }
    # The owner must be empty, not NULL: images without an owner are visible to all projects.
    cleared |= {"owner": "", "purged": True}
    cleared |= {"created_at": F("deleted_at"), "updated_at": F("deleted_at")}
    Image.objects.filter(pk__in=ids).update(**cleared)


DUTIES = (Duty("purge deleted images", purge_excess, period=60.0, may_block=True),)
