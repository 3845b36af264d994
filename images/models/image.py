"""An image and its life cycle."""

from __future__ import annotations

from typing import ClassVar, Self
from uuid import uuid4

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_fsm import RETURN_VALUE, FSMField, FSMModelMixin, transition


class Status(models.TextChoices):
    QUEUED = "queued", _("Queued")
    SAVING = "saving", _("Saving")
    UPLOADING = "uploading", _("Uploading")
    IMPORTING = "importing", _("Importing")
    ACTIVE = "active", _("Active")
    DEACTIVATED = "deactivated", _("Deactivated")
    KILLED = "killed", _("Killed")
    PENDING_DELETE = "pending_delete", _("Pending Delete")
    DELETED = "deleted", _("Deleted")


TRANSIENT_STATUSES = (Status.SAVING, Status.UPLOADING, Status.IMPORTING)
READABLE_STATUSES = (Status.ACTIVE, Status.DEACTIVATED)
DELETED_STATUSES = (Status.PENDING_DELETE, Status.DELETED)


class ImageQuerySet(models.QuerySet["Image"]):
    def existing(self) -> Self:
        """Without the deleted ones, also those that can still be restored."""
        return self.filter(deleted_at=None)

    def in_trash(self) -> Self:
        """The deleted ones that can still be restored."""
        return self.filter(status=Status.PENDING_DELETE)


def new_id() -> str:
    """A random UUID (RFC 9562, version 4), in lower case."""
    return str(uuid4())


class Image(FSMModelMixin, models.Model):  # type: ignore[misc]
    """One image of the catalogue.

    Custom properties and tags are JSON columns: a page of a list is then read by one query
    of one table. Tags are kept sorted and unique.
    """

    # Text, not a UUID column: a client's id is given back in the case in which it came.
    id = models.CharField(primary_key=True, max_length=36, default=new_id)
    name = models.CharField(max_length=255, null=True)  # noqa: DJ001 - null on the wire
    owner = models.CharField(max_length=255, null=True)  # noqa: DJ001 - null: everybody's
    visibility = models.CharField(max_length=9, default="shared")
    status = FSMField(
        max_length=14,
        default=Status.QUEUED,
        choices=Status.choices,
        protected=True,
        editable=False,
    )
    # Where a restore leads to.
    status_before_delete = models.CharField(max_length=14, blank=True)

    size = models.BigIntegerField(null=True, help_text="bytes")
    virtual_size = models.BigIntegerField(null=True, help_text="bytes")
    checksum = models.CharField(max_length=32, null=True, help_text="MD5")  # noqa: DJ001
    os_hash_algo = models.CharField(max_length=64, null=True)  # noqa: DJ001
    os_hash_value = models.CharField(max_length=128, null=True)  # noqa: DJ001
    # The image had data: what comes later must be the same bytes.
    pinned = models.BooleanField(default=False)

    disk_format = models.CharField(max_length=20, null=True)  # noqa: DJ001
    container_format = models.CharField(max_length=20, null=True)  # noqa: DJ001
    min_ram = models.PositiveIntegerField(default=0, help_text="MiB")
    min_disk = models.PositiveIntegerField(default=0, help_text="GiB")
    protected = models.BooleanField(default=False)
    os_hidden = models.BooleanField(default=False)
    properties = models.JSONField(default=dict)
    tags = models.JSONField(default=list)

    # Nothing is left of it but the id, which stays reserved.
    purged = models.BooleanField(default=False)

    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager[Image]] = ImageQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("image")
        verbose_name_plural = _("images")
        # Keyset paging walks these; deleted rows, which only ever become more, are not in them.
        indexes = [
            models.Index(
                F("created_at").desc(),
                F("id").desc(),
                name="image_newest",
                condition=Q(deleted_at=None),
            ),
            models.Index(
                F("owner"),
                F("created_at").desc(),
                F("id").desc(),
                name="image_owner_newest",
                condition=Q(deleted_at=None),
            ),
            models.Index(
                F("visibility"),
                F("created_at").desc(),
                F("id").desc(),
                name="image_visibility_newest",
                condition=Q(deleted_at=None),
            ),
            models.Index(
                fields=["name", "created_at", "id"],
                name="image_by_name",
                condition=Q(deleted_at=None),
            ),
            # The scrubber's work list.
            models.Index(
                "deleted_at", name="image_trash", condition=Q(status="pending_delete")
            ),
            # Lists of one status, the trash among them, and how many there are of each.
            models.Index(
                F("status"),
                F("created_at").desc(),
                F("id").desc(),
                name="image_status_newest",
            ),
            # Few images are marked, and they are looked for among all.
            models.Index(
                F("created_at").desc(),
                F("id").desc(),
                name="image_protected_newest",
                condition=Q(deleted_at=None, protected=True),
            ),
            models.Index(
                F("created_at").desc(),
                F("id").desc(),
                name="image_hidden_newest",
                condition=Q(deleted_at=None, os_hidden=True),
            ),
            # Which image is this file? Not of those without data: they are made often.
            models.Index(
                fields=["checksum"],
                name="image_checksum",
                condition=Q(checksum__isnull=False),
            ),
        ]
        # One for each way along the life cycle that people go by hand; Django's own are
        # add (create), change (metadata), delete and view.
        permissions = [
            ("deactivate_image", "Can deactivate image"),
            ("reactivate_image", "Can reactivate image"),
            ("fail_image", "Can end what is being brought into image"),
            ("restore_image", "Can restore deleted image"),
            ("scrub_image", "Can delete image for good"),
            ("upload_image", "Can upload data of image"),
        ]

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} ({self.id})"

    # The life cycle. Called by images.lifecycle and nobody else.

    @transition(status, source=Status.QUEUED, target=Status.SAVING)
    def mark_saving(self) -> None:
        """An upload begins."""

    @transition(status, source=Status.QUEUED, target=Status.UPLOADING)
    def mark_uploading(self) -> None:
        """Staging begins."""

    @transition(
        status, source=[Status.QUEUED, Status.UPLOADING], target=Status.IMPORTING
    )
    def mark_importing(self) -> None:
        """An import begins, of staged data or without."""

    @transition(status, source=[Status.SAVING, Status.IMPORTING], target=Status.ACTIVE)
    def mark_received(self) -> None:
        """The data has arrived."""

    @transition(status, source=Status.QUEUED, target=Status.ACTIVE)
    def mark_located(self) -> None:
        """Locations went from zero to one or more."""

    @transition(status, source=Status.SAVING, target=Status.KILLED)
    def mark_killed(self) -> None:
        """An upload or a copy through API v1 failed."""

    @transition(
        status,
        source=[Status.SAVING, Status.UPLOADING, Status.IMPORTING],
        target=Status.QUEUED,
    )
    def mark_requeued(self) -> None:
        """The data did not arrive; another attempt is possible."""

    @transition(status, source=Status.ACTIVE, target=Status.QUEUED)
    def mark_unlocated(self) -> None:
        """Locations went from one or more to zero. Size and digests stay, as the pin."""

    @transition(status, source=Status.ACTIVE, target=Status.DEACTIVATED)
    def mark_deactivated(self) -> None:
        """The data is withheld from everybody but admins."""

    @transition(status, source=Status.DEACTIVATED, target=Status.ACTIVE)
    def mark_reactivated(self) -> None:
        """The data is given out again."""

    @transition(
        status,
        source=[Status.ACTIVE, Status.DEACTIVATED],
        target=Status.PENDING_DELETE,
    )
    def mark_pending_delete(self) -> None:
        """Deleted, but the data stays for the scrub time."""
        self.status_before_delete = self.status
        self.deleted_at = timezone.now()

    @transition(
        status,
        source=Status.PENDING_DELETE,
        target=RETURN_VALUE(Status.ACTIVE, Status.DEACTIVATED),
    )
    def mark_restored(self) -> str:
        """Back to the status that it had."""
        before, self.status_before_delete = self.status_before_delete, ""
        self.deleted_at = None
        return before

    @transition(status, source=Status.PENDING_DELETE, target=Status.DELETED)
    def mark_scrubbed(self) -> None:
        """The data is gone too."""

    @transition(
        status,
        source=[
            Status.QUEUED,
            Status.SAVING,
            Status.UPLOADING,
            Status.IMPORTING,
            Status.ACTIVE,
            Status.DEACTIVATED,
            Status.KILLED,
        ],
        target=Status.DELETED,
    )
    def mark_deleted(self) -> None:
        """Deleted for good."""
        self.deleted_at = timezone.now()
