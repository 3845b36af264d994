"""Purge: remove the rows and attributes of images deleted long ago; their ids stay reserved."""

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

    Takes images with ids above ``after`` in one short transaction; no ids are returned when
    no image is left. The row stays, empty, to reserve the id; ``release_ids`` deletes the row
    too, also of images that were purged before. An image whose bytes may still be in a store
    is skipped.
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
    """Return how many images are ready to be purged, and how many are not: their data still exists.

    The arguments are those of ``purge_deleted``.
    """
    due = _due(before, release_ids)
    ready = due.filter(_no_bytes()).count()
    return ready, due.count() - ready


def _due(before: datetime, release_ids: bool) -> QuerySet[Image]:
    due = Image.objects.filter(status=Status.DELETED, deleted_at__lt=before)
    return due if release_ids else due.filter(purged=False)


def _no_bytes() -> Q:
    # A deleted image gets no new location, transfer or chunk, so no lock is needed.
    locations = ImageLocation.objects.filter(image=OuterRef("pk"))
    remaining = locations.exclude(status=LocationStatus.DELETED)
    chunks = UploadChunk.objects.filter(transfer__image=OuterRef("pk"))
    unclean = Transfer.objects.with_bytes().filter(image=OuterRef("pk"))
    return Q(~Exists(remaining), ~Exists(unclean), ~Exists(chunks))


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
