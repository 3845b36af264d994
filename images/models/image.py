"""An image and its life cycle."""

from __future__ import annotations

from typing import ClassVar, Self
from uuid import uuid4

from django.db import models
from django.db.models import F, Q, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_fsm import RETURN_VALUE, FSMField, FSMModelMixin, transition

from images.models.known_digest import KnownDigest


class Status(models.TextChoices):
    """The statuses of an image in its life cycle."""

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
    """Filters that select images."""

    def existing(self) -> Self:
        """Exclude deleted images, including those in the trash."""
        return self.filter(deleted_at=None)

    def in_trash(self) -> Self:
        """Select the images in the trash: deleted, but still restorable."""
        return self.filter(status=Status.PENDING_DELETE)


def new_id() -> str:
    """Return a random UUID (RFC 9562, version 4) in lower case."""
    return str(uuid4())


class Image(FSMModelMixin, models.Model):
    """An image of the catalogue.

    Custom properties and tags are JSON columns, so that a page of a list needs one query of
    one table. Tags are sorted and unique.
    """

    # A UUID column would lose the case of an id that the client chose.
    id = models.CharField(primary_key=True, max_length=36, default=new_id)
    name = models.CharField(max_length=255, null=True)  # noqa: DJ001 - null on the wire
    owner = models.CharField(max_length=255, null=True)  # noqa: DJ001 - null: seen by all projects
    visibility = models.CharField(max_length=9, default="shared")
    status = FSMField(
        max_length=14,
        default=Status.QUEUED,
        choices=Status.choices,
        protected=True,
        editable=False,
    )
    # The status after a restore.
    status_before_delete = models.CharField(max_length=14, blank=True)

    size = models.BigIntegerField(null=True, help_text="bytes")
    virtual_size = models.BigIntegerField(null=True, help_text="bytes")
    checksum = models.CharField(max_length=32, null=True, help_text="MD5")  # noqa: DJ001
    os_hash_algo = models.CharField(max_length=64, null=True)  # noqa: DJ001
    os_hash_value = models.CharField(max_length=128, null=True)  # noqa: DJ001
    # All digests that were computed of the arriving data: algorithm -> hexadecimal. Empty:
    # an earlier release received the data.
    digests = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    # The source of a digest that the data matched: "repr-digest" (upload), "import" (request),
    # "owner" (properties), "signature" or "checksum" (API v1); and when it was compared.
    verified_by = models.CharField(max_length=16, blank=True, default="", db_default="")
    verified_at = models.DateTimeField(null=True)
    # The stated digests that the data had before plugins of imports changed it. Empty: it came
    # as it is, or nothing was stated.
    source_digests = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField())
    )
    # A client has asked for a digest that is not known: the background worker computes it.
    digests_wanted_at = models.DateTimeField(null=True)
    # The image had data: any later data must have the same size and digests (the pin).
    pinned = models.BooleanField(default=False)

    disk_format = models.CharField(max_length=20, null=True)  # noqa: DJ001
    container_format = models.CharField(max_length=20, null=True)  # noqa: DJ001
    min_ram = models.PositiveIntegerField(default=0, help_text="MiB")
    min_disk = models.PositiveIntegerField(default=0, help_text="GiB")
    protected = models.BooleanField(default=False)
    os_hidden = models.BooleanField(default=False)
    properties = models.JSONField(default=dict)
    tags = models.JSONField(default=list)

    # A purged image keeps only its id. IDs are never reused.
    purged = models.BooleanField(default=False)

    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager[Image]] = ImageQuerySet.as_manager()

    class Meta:
        verbose_name = _("image")
        verbose_name_plural = _("images")
        # Keyset paging uses these indexes. They exclude deleted images, whose number only grows.
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
            # Lists that are sorted by size, and filters by size in all lists.
            models.Index(fields=["size", "created_at", "id"], name="image_by_size"),
            # Lists that are sorted by the time of the last change. Few images have the same time.
            models.Index(
                fields=["updated_at"],
                name="image_changed",
                condition=Q(deleted_at=None),
            ),
            # The images to scrub.
            models.Index(
                "deleted_at", name="image_trash", condition=Q(status="pending_delete")
            ),
            # The trash of a project, oldest first.
            models.Index(
                fields=["owner", "deleted_at"],
                name="image_trash_of_owner",
                condition=Q(status="pending_delete"),
            ),
            # Lists of one status (such as the trash), and counts by status.
            models.Index(
                F("status"),
                F("created_at").desc(),
                F("id").desc(),
                name="image_status_newest",
            ),
            # Few images are protected or hidden, and queries look for them among all images.
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
            # The deleted images of a project, until they are purged.
            models.Index(
                fields=["owner", "deleted_at"],
                name="image_deleted",
                condition=Q(status="deleted", purged=False),
            ),
            # Finds images by checksum. Images without data are excluded, because they are created often.
            models.Index(
                fields=["checksum"],
                name="image_checksum",
                condition=Q(checksum__isnull=False),
            ),
            models.Index(
                fields=["digests_wanted_at"],
                name="image_digests_wanted",
                condition=Q(digests_wanted_at__isnull=False),
            ),
            models.Index(
                fields=["os_hash_value"],
                name="image_hash_value",
                condition=Q(os_hash_value__isnull=False),
            ),
            *(
                models.Index(
                    KnownDigest(algorithm),
                    name=f"image_{algorithm}",
                    condition=Q(checksum__isnull=False),
                )
                for algorithm in KnownDigest.ALGORITHMS
            ),
        ]
        # A permission for each transition that staff users can start, besides Django's own:
        # add (create), change (metadata), delete and view.
        permissions = [
            ("deactivate_image", "Can deactivate image"),
            ("reactivate_image", "Can reactivate image"),
            ("fail_image", "Can cancel transfer of image"),
            ("restore_image", "Can restore deleted image"),
            ("scrub_image", "Can delete image permanently"),
            ("upload_image", "Can upload data of image"),
            ("download_image", "Can download data of image"),
        ]

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} ({self.id})"

    # The transitions of the life cycle. Only the modules of the life cycle call them. The
    # admin shows the text after the colon in their docstrings.

    @transition(status, source=Status.QUEUED, target=Status.SAVING)
    def mark_saving(self) -> None:
        """Set the status ``saving`` in memory: an upload begins."""

    @transition(status, source=Status.QUEUED, target=Status.UPLOADING)
    def mark_uploading(self) -> None:
        """Set the status ``uploading`` in memory: staging or a resumable upload begins."""

    @transition(
        status, source=[Status.QUEUED, Status.UPLOADING], target=Status.IMPORTING
    )
    def mark_importing(self) -> None:
        """Set the status ``importing`` in memory: an import begins, with or without staged data."""

    @transition(status, source=[Status.SAVING, Status.IMPORTING], target=Status.ACTIVE)
    def mark_received(self) -> None:
        """Set the status ``active`` in memory: the data has arrived."""

    @transition(status, source=Status.QUEUED, target=Status.ACTIVE)
    def mark_located(self) -> None:
        """Set the status ``active`` in memory: the first locations are added."""

    @transition(status, source=Status.SAVING, target=Status.KILLED)
    def mark_killed(self) -> None:
        """Set the status ``killed`` in memory: an upload or web download through API v1 fails."""

    @transition(
        status,
        source=[Status.SAVING, Status.UPLOADING, Status.IMPORTING],
        target=Status.QUEUED,
    )
    def mark_requeued(self) -> None:
        """Set the status ``queued`` in memory: the transfer fails or is cancelled. It can be retried."""

    @transition(status, source=Status.IMPORTING, target=Status.UPLOADING)
    def mark_restaged(self) -> None:
        """Set the status ``uploading`` in memory: an import fails, and its staged data is kept."""

    @transition(status, source=Status.ACTIVE, target=Status.QUEUED)
    def mark_unlocated(self) -> None:
        """Set the status ``queued`` in memory: the last location is removed.

        Size and digests stay, because the image accepts only the same data again.
        """

    @transition(status, source=Status.ACTIVE, target=Status.DEACTIVATED)
    def mark_deactivated(self) -> None:
        """Set the status ``deactivated`` in memory: only admins can download the data from now on."""

    @transition(status, source=Status.DEACTIVATED, target=Status.ACTIVE)
    def mark_reactivated(self) -> None:
        """Set the status ``active`` in memory: the data can be downloaded again."""

    @transition(
        status,
        source=[Status.ACTIVE, Status.DEACTIVATED],
        target=Status.PENDING_DELETE,
    )
    def mark_pending_delete(self) -> None:
        """Set the status ``pending_delete`` in memory: the image goes to the trash, and keeps its data."""
        self.status_before_delete = self.status
        self.deleted_at = timezone.now()

    @transition(
        status,
        source=Status.PENDING_DELETE,
        target=RETURN_VALUE(Status.ACTIVE, Status.DEACTIVATED),
    )
    def mark_restored(self) -> str:
        """Change the status in memory: the image returns to its status before the deletion.

        Returns that status, which is ``active`` or ``deactivated``.
        """
        before, self.status_before_delete = self.status_before_delete, ""
        self.deleted_at = None
        return before

    @transition(status, source=Status.PENDING_DELETE, target=Status.DELETED)
    def mark_scrubbed(self) -> None:
        """Set the status ``deleted`` in memory: the image and its data are deleted permanently."""

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
        """Set the status ``deleted`` in memory: the image is deleted permanently, without the trash."""
        self.deleted_at = timezone.now()
