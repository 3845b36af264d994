"""Uploads that may pause: begun, found again, given up."""

from __future__ import annotations

from base64 import b64decode

from django.db.models import QuerySet

from images import errors, lifecycle
from images.access import Caller
from images.models import Status, Transfer, TransferKind, TransferStatus
from images.transfers import leases, quota
from images.transitions import follow, locked
from images.uploads.finishing import finish


def begin(
    image_id: str,
    size: int,
    actor: Caller,
    *,
    store_id: str | None = None,
    metadata: str = "",
) -> Transfer:
    """Open an upload of ``size`` bytes that may pause: queued -> uploading.

    It ends IMAGECATALOG_UPLOAD_EXPIRY seconds after the last byte. One of no bytes is whole
    at once. ``metadata`` is kept as it is, for the client.

    Raises Conflict (not queued, or of another size than a pin asks for), Invalid (formats not
    set, no such store), OverLimit (the cap, the quota), StoreReadOnly, NotFound.
    """
    lifecycle.check_cap(size)
    store = lifecycle.writable(store_id)
    with locked(image_id) as image:
        follow(image, image.mark_uploading, "stage", actor)
        lifecycle.check_formats_set(image)
        lifecycle.check_pinned_size(image, size)
        quota.check_coming(image, size)
        upload = leases.begin(
            image,
            TransferKind.STAGE,
            store,
            actor,
            expected=size,
            status_on_failure=Status.QUEUED,
            metadata=metadata,
        )
    if not size:
        finish(upload, actor)
    return upload


def uploads(image_id: str) -> list[Transfer]:
    """The upload of this image that goes on, if there is one; there is one at most."""
    return list(_uploads(image_id).filter(status=TransferStatus.RUNNING))


def find(image_id: str, upload_id: str) -> Transfer:
    """An upload, whatever has become of it. Raises NotFound."""
    upload = _uploads(image_id).filter(pk=upload_id).first()
    if upload is None:
        raise errors.NotFound(f"Image {image_id} has no upload {upload_id}.")
    return upload


def kept(image_id: str, upload_id: str) -> Transfer:
    """The same, unless it has failed. Raises NotFound, Gone."""
    upload = find(image_id, upload_id)
    if upload.status == TransferStatus.FAILED:
        raise errors.Gone(f"The upload has ended. {upload.error}".strip())
    return upload


def going_on(image_id: str, upload_id: str) -> Transfer:
    """The same, while it can be ended. Raises NotFound, Gone; Conflict when it is complete."""
    upload = kept(image_id, upload_id)
    if upload.status == TransferStatus.DONE:
        raise errors.Conflict("The upload is complete, and the image has its data.")
    return upload


def filename(upload: Transfer) -> str:
    """What the client calls the file; empty: it did not say."""
    for pair in upload.metadata.split(","):
        name, _, value = pair.strip().partition(" ")
        if name == "filename":
            return b64decode(value).decode(errors="replace")
    return ""


def phase(upload: Transfer) -> str:
    """Where it stands, in the words of the life cycle: uploading, importing, complete, failed."""
    if upload.status == TransferStatus.RUNNING:
        whole = upload.bytes_received == upload.bytes_expected
        return "importing" if whole else "uploading"
    return "complete" if upload.status == TransferStatus.DONE else "failed"


def terminate(image_id: str, upload_id: str, actor: Caller) -> None:
    """End an upload on its client's wish: what has arrived goes, the image is queued again.

    Raises NotFound; Gone and Conflict when it has ended.
    """
    upload = going_on(image_id, upload_id)
    if not leases.fail(upload, errors.Gone("The upload was given up."), actor):
        going_on(image_id, upload_id)  # says how it has ended meanwhile


def _uploads(image_id: str) -> QuerySet[Transfer]:
    return Transfer.objects.filter(image=image_id, kind=TransferKind.STAGE)
