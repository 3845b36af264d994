"""The history of images: an event for every change, written in the same transaction."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from images.models.image import Image


class Event(models.Model):
    """An entry of an image's history: one change of the image. Events are never modified."""

    image = models.ForeignKey(Image, models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    verb = models.CharField(max_length=32)
    from_status = models.CharField(
        max_length=14, blank=True
    )  # blank: the image was created
    to_status = models.CharField(max_length=14)
    actor = models.CharField(max_length=255, blank=True, help_text="user id")
    project = models.CharField(max_length=255, blank=True)
    interface = models.CharField(
        max_length=16,
        db_column="door",
        help_text="v2, v1, catalog, admin, command, worker",
    )
    request_id = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)
    detail = models.JSONField(default=dict, help_text="what else was changed")

    class Meta:
        ordering = ["id"]
        # For the activity of the whole catalogue, newest first.
        indexes = [
            models.Index(fields=["at", "id"], name="event_newest"),
            models.Index(fields=["actor", "at", "id"], name="event_actor_newest"),
            models.Index(fields=["project", "at", "id"], name="event_project_newest"),
            models.Index(fields=["verb", "at", "id"], name="event_verb_newest"),
            models.Index(
                fields=["request_id", "at", "id"], name="event_request_newest"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verb}: {self.from_status} -> {self.to_status}"
