"""The locations of images: which store has an image's data, with a small life cycle."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, FSMModelMixin, transition

from images.models.image import Image


class LocationStatus(models.TextChoices):
    """The statuses of a location."""

    ACTIVE = "active", _("Active")
    PENDING_DELETE = "pending_delete", _("Pending Delete")
    DELETED = "deleted", _("Deleted")


class ImageLocationQuerySet(models.QuerySet["ImageLocation"]):
    """Filters that select locations."""

    def damaged(self) -> Self:
        """Select the locations whose data was damaged when it was last verified."""
        return self.filter(status=LocationStatus.ACTIVE).exclude(damage="")


class ImageLocation(FSMModelMixin, models.Model):
    """A store that has an image's data, and the key of the object.

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
        ]

    def __str__(self) -> str:
        return f"{self.store}:{self.key}"

    # Only the modules of the life cycle call these transitions.

    @transition(
        status, source=LocationStatus.ACTIVE, target=LocationStatus.PENDING_DELETE
    )
    def mark_pending_delete(self) -> None:
        """Set the status ``pending_delete``, without saving: the image no longer has this copy.

        Its object still exists, and the worker removes it.
        """

    @transition(
        status, source=LocationStatus.PENDING_DELETE, target=LocationStatus.ACTIVE
    )
    def mark_restored(self) -> None:
        """Change the status without saving: the location is restored with its image."""
        self.delete_after = None

    @transition(
        status, source=LocationStatus.PENDING_DELETE, target=LocationStatus.DELETED
    )
    def mark_deleted(self) -> None:
        """Change the status without saving: the object is removed."""
