"""What is left of images that were deleted long ago goes too; their ids stay taken."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from images.models import (
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    Transfer,
    UploadChunk,
)

BATCH = 200  # images a transaction
KEPT = ("id", "status", "deleted_at")


def purge_deleted(
    before: datetime,
    *,
    after: str = "",
    batch: int = BATCH,
    release_ids: bool = False,
    dry_run: bool = False,
) -> list[str]:
    """Purge the next images behind the id ``after`` that were deleted before this time.

    One short transaction; their ids, none when no more are left. The row stays, empty, as
    the reservation of the id; with ``release_ids`` it goes too, also that of an image which
    was purged before. An image of which bytes may still be somewhere is left alone.
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
    """How many images ``purge_deleted`` would take in all, and how many wait for their bytes to go."""
    due = _due(before, release_ids)
    ready = due.filter(_no_bytes()).count()
    return ready, due.count() - ready


def _due(before: datetime, release_ids: bool) -> QuerySet[Image]:
    due = Image.objects.filter(status=Status.DELETED, deleted_at__lt=before)
    return due if release_ids else due.filter(purged=False)


def _no_bytes() -> Q:
    # None of this comes back for a deleted image, so it holds without a lock.
    locations = ImageLocation.objects.filter(image=OuterRef("pk"))
    held = locations.exclude(status=LocationStatus.DELETED)
    chunks = UploadChunk.objects.filter(transfer__image=OuterRef("pk"))
    left = Transfer.objects.with_bytes().filter(image=OuterRef("pk"))
    return Q(~Exists(held), ~Exists(left), ~Exists(chunks))


def _empty(ids: list[str]) -> None:
    for relation in Image._meta.related_objects:
        others = relation.related_model._default_manager
        others.filter(**{f"{relation.field.name}__in": ids}).delete()
    cleared = {
        field.attname: field.get_default()
        for field in Image._meta.concrete_fields
        if field.attname not in KEPT
    }
    # Without an owner it would be everybody's.
    cleared |= {"owner": "", "purged": True}
    cleared |= {"created_at": F("deleted_at"), "updated_at": F("deleted_at")}
    Image.objects.filter(pk__in=ids).update(**cleared)
