"""One attempt to bring bytes in: the owner of every transient status; and the chunks of one."""

from __future__ import annotations

from typing import Self
from uuid import uuid4

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images.models.image import TRANSIENT_STATUSES, Image, Status


class TransferKind(models.TextChoices):
    UPLOAD = "upload", _("Upload")
    STAGE = "stage", _("Stage")
    IMPORT = "import", _("Import")
    WEB_DOWNLOAD = "copy", _("Web download")


class TransferStatus(models.TextChoices):
    WAITING = "waiting", _("Waiting")  # for a worker; owns nothing yet
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


OPEN_STATUSES = (TransferStatus.WAITING, TransferStatus.RUNNING)
UNCLEAN = Q(status=TransferStatus.FAILED, cleaned=False)


class TransferQuerySet(models.QuerySet["Transfer"]):
    def unclean(self) -> Self:
        """The failed ones whose bytes are still to be removed."""
        return self.filter(UNCLEAN)

    def with_bytes(self) -> Self:
        """Those under whose key there may be bytes that are no location's."""
        return self.filter(Q(status=TransferStatus.RUNNING) | UNCLEAN)


class Transfer(models.Model):
    """An attempt, with a lease: without a heartbeat for a while it may be taken for dead.

    The key of the bytes is the attempt's own, so that a loser that comes late can never
    delete the winner's bytes. A row that failed with ``cleaned`` off still has bytes to remove.
    A STAGE may pause for as long as its deadline says: what it has is in its chunks.
    """

    id = models.UUIDField(primary_key=True, default=uuid4)
    image = models.ForeignKey(Image, models.CASCADE, related_name="transfers")
    kind = models.CharField(max_length=6, choices=TransferKind.choices)
    status = models.CharField(
        max_length=7, choices=TransferStatus.choices, default=TransferStatus.RUNNING
    )
    # What the image becomes when the attempt fails: queued, or killed through API v1.
    status_on_failure = models.CharField(
        max_length=14, default=Status.QUEUED, db_column="resting_status"
    )
    store = models.CharField(max_length=64)
    key = models.TextField()
    cleaned = models.BooleanField(default=False)
    source = models.TextField(blank=True, help_text="URL, of a copy")
    worker = models.CharField(max_length=255, help_text="which process")
    request_id = models.CharField(max_length=64, blank=True)
    bytes_received = models.BigIntegerField(default=0)
    bytes_expected = models.BigIntegerField(null=True)
    checksum = models.CharField(max_length=32, null=True, help_text="MD5 expected")  # noqa: DJ001
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    # However lively it is, by then it has had its time.
    deadline = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=32, blank=True)
    error = models.TextField(blank=True, help_text="a sentence for a person")
    # What the client of a resumable upload said about it, given back as it came.
    metadata = models.TextField(blank=True, help_text="Upload-Metadata of tus")

    objects = TransferQuerySet.as_manager()

    class Meta:
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
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} ({self.status})"


def ownerless() -> Q:
    """Of images: in a transient status, and no attempt is running."""
    running = Transfer.objects.filter(
        image=OuterRef("pk"), status=TransferStatus.RUNNING
    )
    return Q(~Exists(running), status__in=TRANSIENT_STATUSES)


class ChunkStatus(models.TextChoices):
    ARRIVING = "arriving"
    STORED = "stored"
    LOST = "lost"


class UploadChunk(models.Model):
    """Bytes [start, start + size) of a resumable upload, in an object of their own.

    The arriving one stands for the right to write: there is one at most. It counts once it is
    stored; a lost one never will. The row goes after its bytes.
    """

    transfer = models.ForeignKey(Transfer, models.CASCADE, related_name="chunks")
    start = models.BigIntegerField(help_text="bytes")
    size = models.BigIntegerField(default=0, help_text="bytes")
    key = models.TextField()
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
