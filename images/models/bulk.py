"""Bulk changes: one change of many images, with its result for each of them."""

from __future__ import annotations

from typing import Self
from uuid import uuid4

from django.db import models
from django.db.models import Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images.models.image import Image


class BulkChangeQuerySet(models.QuerySet["BulkChange"]):
    """Filters that select bulk changes."""

    def kept(self) -> Self:
        """Select the bulk changes that are not being removed."""
        return self.filter(discarded=False)

    def drafts(self) -> Self:
        """Select the bulk changes that nobody has confirmed: they have changed nothing."""
        return self.kept().filter(requested_at=None)


class BulkChange(models.Model):
    """A change of many images: what changes, who wanted it, and the images that were selected.

    It begins as a draft, of which its user sees a preview. Once it is requested, a job carries it
    out, and its rows have the result for each image.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    verb = models.CharField(max_length=16, help_text="such as delete, or edit")
    # What an edit changes; empty for the other verbs.
    edit = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    actor = models.CharField(max_length=255, blank=True, help_text="user id")
    interface = models.CharField(max_length=16)
    request_id = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now)
    requested_at = models.DateTimeField(null=True)  # NULL: a draft
    finished_at = models.DateTimeField(null=True)
    # The id of the bulk change that this one undoes; that one can be removed first.
    undoes = models.UUIDField(null=True)
    # It cannot be started or continued any more: its rows are being removed, a batch at a time.
    discarded = models.BooleanField(default=False, db_default=False)
    # Without a constraint: the previous release removes old jobs.
    job = models.ForeignKey(
        "Job", models.SET_NULL, null=True, related_name="+", db_constraint=False
    )

    objects = BulkChangeQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        verbose_name = _("bulk change")
        verbose_name_plural = _("bulk changes")

    def __str__(self) -> str:
        return f"{self.verb} {self.id}"

    @property
    def is_draft(self) -> bool:
        """Whether nobody has confirmed the bulk change: it has changed nothing."""
        return self.requested_at is None

    @property
    def is_open(self) -> bool:
        """Whether the job of the bulk change waits or runs."""
        return self.job is not None and self.job.is_open


class BulkResult(models.TextChoices):
    """The results of a bulk change for one image."""

    PLANNED = "planned", _("Not yet changed")
    DONE = "done", _("Changed")
    UNCHANGED = "unchanged", _("Unchanged")
    REFUSED = "refused", _("Refused")


class BulkRow(models.Model):
    """An image of a bulk change, with its result."""

    # The index below serves the foreign key too. A selection can have a million rows.
    change = models.ForeignKey(
        BulkChange, models.CASCADE, related_name="rows", db_index=False
    )
    # Without a constraint: the previous release deletes rows of images.
    image = models.ForeignKey(
        Image,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    result = models.CharField(
        max_length=9,
        choices=BulkResult.choices,
        default=BulkResult.PLANNED,
        db_default=BulkResult.PLANNED,
    )
    error = models.TextField(blank=True, default="", db_default="")
    # The values that an edit has changed, or that its undo is to change back: see bulk.edits.
    changed = models.JSONField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["change", "result", "id", "image"], name="bulk_row_result"
            )
        ]

    def __str__(self) -> str:
        return f"{self.image_id}: {self.result}"
