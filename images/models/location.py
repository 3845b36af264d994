"""Where an image's bytes are: one row a copy, with a small life cycle of its own."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, FSMModelMixin, transition

from images.models.image import Image


class LocationStatus(models.TextChoices):
    ACTIVE = "active", _("Active")
    PENDING_DELETE = "pending_delete", _("Pending Delete")
    DELETED = "deleted", _("Deleted")


class ImageLocationQuerySet(models.QuerySet["ImageLocation"]):
    def damaged(self) -> Self:
        """Copies that were found damaged when they were read last."""
        return self.filter(status=LocationStatus.ACTIVE).exclude(damage="")


class ImageLocation(FSMModelMixin, models.Model):  # type: ignore[misc]
    """A copy of an image's bytes in a store.

    ``key`` is the store's own name for the object; of the read-only ``http`` store it is the
    URL itself. Keys are never reused, so removing one can never hit another one's bytes.
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
    # When the bytes may go, and how often they would not.
    delete_after = models.DateTimeField(null=True)
    delete_attempts = models.PositiveSmallIntegerField(default=0)
    # When the bytes were last read and compared with the digests, and what was wrong.
    verified_at = models.DateTimeField(null=True)
    damage = models.TextField(blank=True)

    objects = ImageLocationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                "delete_after",
                name="location_to_delete",
                condition=Q(status="pending_delete"),
            ),
            # What is in a store, and what was found damaged.
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
        ]

    def __str__(self) -> str:
        return f"{self.store}:{self.key}"

    # Called by images.lifecycle and nobody else.

    @transition(
        status, source=LocationStatus.ACTIVE, target=LocationStatus.PENDING_DELETE
    )
    def mark_pending_delete(self) -> None:
        """Not part of the image any more; its bytes are still there."""

    @transition(
        status, source=LocationStatus.PENDING_DELETE, target=LocationStatus.ACTIVE
    )
    def mark_restored(self) -> None:
        """Back with its image."""
        self.delete_after = None

    @transition(
        status, source=LocationStatus.PENDING_DELETE, target=LocationStatus.DELETED
    )
    def mark_deleted(self) -> None:
        """The bytes are gone."""
