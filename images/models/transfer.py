"""Transfers, which bring data into images, and the chunks of resumable uploads."""

from __future__ import annotations

from typing import Self
from uuid import uuid4

from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images.models.image import TRANSIENT_STATUSES, Image, Status


class TransferKind(models.TextChoices):
    """The kinds of transfers: the ways in which data comes into an image."""

    UPLOAD = "upload", _("Upload")
    STAGE = "stage", _("Stage")
    IMPORT = "import", _("Import")
    WEB_DOWNLOAD = "copy", _("Web download")
    LOCATION = "locate", _("Location")  # the data is read where it is, and not stored
    IMAGE_COPY = "clone", _("Copy to another store")


class ImportMethod(models.TextChoices):
    """The methods of the import API, by which clients import data."""

    GLANCE_DIRECT = "glance-direct", _("Staged data")
    WEB_DOWNLOAD = "web-download", _("Web download")
    COPY_IMAGE = "copy-image", _("Copy to another store")
    GLANCE_DOWNLOAD = "glance-download", _("Download from another region")


class TransferStatus(models.TextChoices):
    """The statuses of a transfer: waiting, running, done or failed."""

    WAITING = (
        "waiting",
        _("Waiting"),
    )  # for a worker; of these only locations and tasks own the image's status
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


OPEN_STATUSES = (TransferStatus.WAITING, TransferStatus.RUNNING)
UNCLEAN = Q(status=TransferStatus.FAILED, cleaned=False)


class TransferQuerySet(models.QuerySet["Transfer"]):
    """Filters that select transfers."""

    def owning(self) -> Self:
        """Select the transfers that own the status of their image: its status changes when they end.

        These are running transfers, and waiting transfers of import tasks and for new locations,
        but not transfers that copy an active image to another store, or compute its digests.
        """
        return self.begun().exclude(
            Q(kind=TransferKind.IMAGE_COPY) | Q(status_on_failure=Status.ACTIVE)
        )

    def into(self, store_id: str) -> Self:
        """Select the transfers that write to this store, alone or among other target stores."""
        targets = TransferTarget.objects.filter(store=store_id).values("transfer")
        return self.filter(Q(store=store_id) | Q(pk__in=targets))

    def begun(self) -> Self:
        """Select running transfers, and waiting transfers of import tasks and for new locations."""
        # Not IN: each of the two statuses has an index of its own.
        waiting = Q(status=TransferStatus.WAITING) & (
            Q(kind=TransferKind.LOCATION) | Q(task_id__isnull=False)
        )
        return self.filter(Q(status=TransferStatus.RUNNING) | waiting)

    def staging(self) -> Self:
        """Select the open resumable uploads, and the transfers that keep staged data."""
        return self.filter(kind=TransferKind.STAGE, status=TransferStatus.RUNNING)

    def unclean(self) -> Self:
        """Select the failed transfers whose partial data is not removed from the stores yet."""
        return self.filter(UNCLEAN)

    def with_bytes(self) -> Self:
        """Select the transfers that can have a stored object that belongs to no location.

        These are the running transfers, and the failed ones whose partial data is not removed
        yet.
        """
        return self.filter(Q(status=TransferStatus.RUNNING) | UNCLEAN)

    def partly_unclean(self) -> Self:
        """Select the successful transfers that left partial data in a target store that has failed."""
        unclean = TransferTarget.objects.filter(UNCLEAN).values("transfer")
        return self.filter(pk__in=unclean, status=TransferStatus.DONE)


class Transfer(models.Model):
    """An attempt to bring data into an image, with a lease: without heartbeats it counts as dead.

    Every transfer has its own key, so that a transfer that ends late can never remove the data
    of another transfer. ``cleaned`` says that the partial data of a failed transfer is removed.
    The data of a transfer of the kind STAGE is in its chunks. A resumable upload is imported
    once it is complete; staged data, which has an ``import_method``, is imported once a client
    asks for it.
    """

    id = models.UUIDField(primary_key=True, default=uuid4)
    image = models.ForeignKey(Image, models.CASCADE, related_name="transfers")
    kind = models.CharField(max_length=6, choices=TransferKind.choices)
    status = models.CharField(
        max_length=7, choices=TransferStatus.choices, default=TransferStatus.RUNNING
    )
    # The image's status if the transfer fails: queued; for API v1 killed; importing or uploading
    # while its staged data is kept; active if only its digests are computed.
    status_on_failure = models.CharField(
        max_length=14, default=Status.QUEUED, db_column="resting_status"
    )
    store = models.CharField(max_length=64)
    key = models.TextField()
    cleaned = models.BooleanField(default=False)
    source = models.TextField(
        blank=True, help_text="URL of a web download, without its query"
    )
    # Secrets that the transfer needs, encrypted; empty once the transfer has ended.
    secret = models.TextField(blank=True, db_default="")
    # A method of the import API; empty for an upload and for a web download through API v1.
    import_method = models.CharField(max_length=16, blank=True, db_default="")
    # Set only for transfers that clients of the import API see as tasks.
    task_id = models.UUIDField(null=True, unique=True)
    task_user = models.CharField(max_length=255, blank=True, db_default="")
    task_project = models.CharField(max_length=255, null=True)  # noqa: DJ001
    task_request = models.JSONField(null=True)
    worker = models.CharField(max_length=255, help_text="name of the process")
    request_id = models.CharField(max_length=64, blank=True)
    bytes_received = models.BigIntegerField(default=0)
    bytes_expected = models.BigIntegerField(null=True)
    # Bytes of the project's storage quota (images.transfers.usage); NULL: begun without a quota.
    bytes_reserved = models.BigIntegerField(null=True)
    checksum = models.CharField(max_length=32, null=True, help_text="MD5 expected")  # noqa: DJ001
    # The digests that the data must have: algorithm -> hexadecimal.
    expected_digests = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField())
    )
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    # The transfer ends by then, even if it still has heartbeats.
    deadline = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=32, blank=True)
    error = models.TextField(blank=True, help_text="message for users")
    # The metadata that the client of a resumable upload sent; returned unchanged.
    metadata = models.TextField(blank=True, help_text="Upload-Metadata of tus")

    objects = TransferQuerySet.as_manager()

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        indexes = [
            models.Index(
                "heartbeat_at", name="transfer_running", condition=Q(status="running")
            ),
            models.Index(
                "started_at",
                name="transfer_waiting",
                condition=Q(status="waiting"),
            ),
            models.Index(
                "ended_at",
                name="transfer_unclean",
                condition=Q(status="failed", cleaned=False),
            ),
            models.Index(
                "ended_at", name="transfer_failed", condition=Q(status="failed")
            ),
            models.Index("id", name="transfer_secret", condition=~Q(secret="")),
            # Lists of tasks, newest first.
            models.Index(
                F("started_at"),
                F("task_id"),
                name="transfer_task",
                condition=Q(task_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} ({self.status})"

    @property
    def is_open(self) -> bool:
        """Whether the transfer waits or runs."""
        return self.status in OPEN_STATUSES

    @property
    def keeps_status(self) -> bool:
        """Whether the image has data already, and keeps its status while the transfer is open."""
        return self.kind == TransferKind.IMAGE_COPY or self.is_for_digests

    @property
    def is_for_digests(self) -> bool:
        """Whether the transfer only computes the digests of data that the image has already."""
        return self.status_on_failure == Status.ACTIVE

    @property
    def is_complete(self) -> bool:
        """Whether all bytes of the data have arrived."""
        return self.bytes_received == self.bytes_expected

    @property
    def can_pause(self) -> bool:
        """Whether the transfer needs no heartbeats until its deadline.

        This is so for a resumable upload between two requests, and for complete staged data.
        """
        is_resumable = not self.import_method
        return self.kind == TransferKind.STAGE and (is_resumable or self.is_complete)


class TargetStatus(models.TextChoices):
    """The statuses of a target store of a transfer."""

    WAITING = "waiting", _("Waiting")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class TransferTargetQuerySet(models.QuerySet["TransferTarget"]):
    """Filters that select target stores of transfers."""

    def with_bytes(self) -> Self:
        """Select the targets that can have a stored object that belongs to no location.

        These are the targets of running transfers, and targets whose partial data is not
        removed yet after a failure.
        """
        return self.filter(
            Q(transfer__status=TransferStatus.RUNNING)
            | Q(transfer__status=TransferStatus.FAILED, transfer__cleaned=False)
            | UNCLEAN
        )


class TransferTarget(models.Model):
    """A target store of a transfer, with the key of the object in it.

    Only the imports that clients request have such rows; the first row has the store and key of
    the transfer. Any other transfer has only the store that its own row names.

    The status FAILED says that the import could not write to this store, whether it failed or
    succeeded with other stores. ``cleaned`` says that, after an import that succeeded with
    other stores, the partial data in this store is removed.
    """

    # The index of the constraint begins with this column.
    transfer = models.ForeignKey(
        Transfer, models.CASCADE, related_name="targets", db_index=False
    )
    store = models.CharField(max_length=64)
    key = models.TextField()
    status = models.CharField(
        max_length=7,
        choices=TargetStatus.choices,
        default=TargetStatus.WAITING,
        db_default=TargetStatus.WAITING,
    )
    required = models.BooleanField(
        default=True, db_default=True, help_text="the import fails without it"
    )
    cleaned = models.BooleanField(default=False, db_default=False)
    error_code = models.CharField(max_length=32, blank=True, db_default="")
    error = models.TextField(blank=True, db_default="", help_text="message for users")

    objects = TransferTargetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["transfer", "store"], name="one_target_in_a_store"
            )
        ]
        indexes = [
            models.Index(
                fields=["transfer"],
                name="target_unclean",
                condition=Q(status="failed", cleaned=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.store} ({self.status})"


def ownerless() -> Q:
    """Return the query condition for images that are stuck: no open transfer will end their status.

    They are images with the status saving, uploading or importing.
    """
    owning = Transfer.objects.owning().filter(image=OuterRef("pk"))
    return Q(~Exists(owning), status__in=TRANSIENT_STATUSES)


class ChunkStatus(models.TextChoices):
    """The statuses of an upload chunk: arriving, stored, or lost."""

    ARRIVING = "arriving"
    STORED = "stored"
    LOST = "lost"


class UploadChunk(models.Model):
    """Bytes [start, start + size) of a resumable upload or of staged data, stored as an object.

    An upload has at most one arriving chunk; only the request that created it writes to it. A
    chunk counts once it is stored; a lost chunk never counts. The object is removed before the
    row.
    """

    transfer = models.ForeignKey(Transfer, models.CASCADE, related_name="chunks")
    start = models.BigIntegerField(help_text="bytes")
    size = models.BigIntegerField(default=0, help_text="bytes")
    key = models.TextField()
    # Empty if an earlier release received the chunk.
    digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    status = models.CharField(
        max_length=8, choices=ChunkStatus.choices, default=ChunkStatus.ARRIVING
    )

    class Meta:
        db_table = "images_piece"
        constraints = [
            models.UniqueConstraint(
                fields=["transfer"],
                condition=Q(status="arriving"),
                name="one_arriving_piece",
            )
        ]

    def __str__(self) -> str:
        return f"bytes {self.start}+{self.size} ({self.status})"
