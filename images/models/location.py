"""The locations of images: the stores that have an image's data, with a status for each copy."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, FSMModelMixin, transition

from images.models.image import Image

MISSING = "missing-bytes"  # the kind of damage of a copy that its store does not have


class LocationStatus(models.TextChoices):
    """The statuses of a location: active, removed while its object still exists, or deleted."""

    ACTIVE = "active", _("Active")
    PENDING_DELETE = "pending_delete", _("Pending Delete")
    DELETED = "deleted", _("Deleted")


class ImageLocationQuerySet(models.QuerySet["ImageLocation"]):
    """Filters that select locations."""

    def damaged(self) -> Self:
        """Select the active locations whose data was damaged when it was last verified."""
        return self.filter(status=LocationStatus.ACTIVE).exclude(damage="")


class ImageLocation(FSMModelMixin, models.Model):
    """The place of one copy of an image's data: a store, and the key of the object in it.

    In the read-only ``http`` store the key is the URL. Keys are never reused, so that removing
    an object can never remove the data of another location.
    """

    image = models.ForeignKey(Image, models.CASCADE, related_name="locations")
    store = models.CharField(max_length=64)
    key = models.TextField()
    metadata = models.JSONField(default=dict)
    status = FSMField(
        max_length=14,
        default=LocationStatus.ACTIVE,
        choices=LocationStatus.choices,
        protected=True,
        editable=False,
    )
    created_at = models.DateTimeField(default=timezone.now)
    # When the object can be removed, and how many attempts have failed.
    delete_after = models.DateTimeField(null=True)
    delete_attempts = models.PositiveSmallIntegerField(default=0)
    # When the data was last compared with the digests, and the damage that was found.
    verified_at = models.DateTimeField(null=True)
    damage = models.TextField(blank=True)
    # The schedule does not verify the copy before this time: a worker's lease, or the pause after
    # the copy could not be read.
    verify_after = models.DateTimeField(null=True)

    objects = ImageLocationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                "delete_after",
                name="location_to_delete",
                condition=Q(status="pending_delete"),
            ),
            # The locations in a store, and the damaged ones.
            models.Index(
                fields=["store", "image"],
                name="location_in_store",
                condition=Q(status="active"),
            ),
            models.Index(
                fields=["image"],
                name="location_damaged",
                condition=Q(status="active") & ~Q(damage=""),
            ),
            # The copies that were never verified.
            models.Index(
                fields=["verified_at", "image"],
                name="location_unverified",
                condition=Q(status="active", verified_at=None),
            ),
            # The copies to verify, least recently verified first.
            models.Index(
                Coalesce("verified_at", "created_at"),
                "id",
                name="location_to_verify",
                condition=Q(status="active"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.store}:{self.key}"

    # Only the modules of the life cycle call these transitions.

    @transition(
        status, source=LocationStatus.ACTIVE, target=LocationStatus.PENDING_DELETE
    )
    def mark_pending_delete(self) -> None:
        """Set the status ``pending_delete`` in memory: the image no longer has this copy.

        The object still exists; the worker removes it later.
        """

    @transition(
        status, source=LocationStatus.PENDING_DELETE, target=LocationStatus.ACTIVE
    )
    def mark_restored(self) -> None:
        """Set the status ``active`` in memory: the location is restored with its image."""
        self.delete_after = None

    @transition(
        status, source=LocationStatus.PENDING_DELETE, target=LocationStatus.DELETED
    )
    def mark_deleted(self) -> None:
        """Set the status ``deleted`` in memory: the object of the location was removed."""
