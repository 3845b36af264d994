"""Begin, find and cancel resumable uploads."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping

from django.db.models import QuerySet

from images import errors, lifecycle
from images.access import Caller
from images.models import ChunkStatus, Status, Transfer, TransferKind, TransferStatus
from images.transfers import heartbeat, leases, quota
from images.transitions import follow, locked
from images.uploads.finishing import finish


def begin(
    image_id: str,
    size: int,
    actor: Caller,
    *,
    store_id: str | None = None,
    metadata: str = "",
    expected_digests: Mapping[str, str] | None = None,
) -> Transfer:
    """Begin a resumable upload of ``size`` bytes: queued -> uploading. Returns the upload.

    The upload expires IMAGECATALOG_UPLOAD_EXPIRY seconds after the last byte that arrived. An
    upload of 0 bytes is complete and is imported at once. ``metadata`` is stored unchanged for
    the client; ``expected_digests`` are the digests of the whole data.

    Raises NotFound, Conflict (the image is not queued, or is pinned to data of another size),
    Invalid (formats not set, a signature that cannot be verified, no such store), OverLimit
    (the size cap, a quota), StoreReadOnly.
    """
    lifecycle.check_size_cap(size)
    store = lifecycle.writable_store(store_id)
    with locked(image_id, actor) as image:
        follow(image, image.mark_uploading, "stage", actor)
        lifecycle.check_ready(image)
        lifecycle.check_pinned_size(image, size)
        quota.check_uploading(image)
        quota.check_staging(image, size)
        reserved = quota.reserve(image, size)
        upload = leases.begin(
            image,
            TransferKind.STAGE,
            store,
            actor,
            expected=size,
            status_on_failure=Status.QUEUED,
            metadata=metadata,
            digests=expected_digests,
            reserved=reserved,
        )
    if not size:
        finish(upload, actor)
    return upload


def uploads(image_id: str) -> list[Transfer]:
    """Return the running resumable uploads of an image, of which there is at most one."""
    return list(_uploads(image_id).filter(status=TransferStatus.RUNNING))


def find(image_id: str, upload_id: str) -> Transfer:
    """Return a resumable upload of an image, whether it is running or has ended.

    Raises NotFound if the image has no upload with this id.
    """
    upload = _uploads(image_id).filter(pk=upload_id).first()
    if upload is None:
        raise errors.NotFound(f"Image {image_id} has no upload {upload_id}.")
    return upload


def find_not_failed(image_id: str, upload_id: str) -> Transfer:
    """Return a resumable upload that is running or has succeeded.

    Raises NotFound if the image has no upload with this id, Gone if the upload has failed or
    was cancelled.
    """
    upload = find(image_id, upload_id)
    if upload.status == TransferStatus.FAILED:
        raise errors.Gone(f"The upload has ended. {upload.error}".strip())
    return upload


def find_running(image_id: str, upload_id: str) -> Transfer:
    """Return a resumable upload that has not ended.

    Raises NotFound if the image has no upload with this id, Gone if the upload has failed or
    was cancelled, Conflict if it is complete and the image has its data.
    """
    upload = find_not_failed(image_id, upload_id)
    if upload.status == TransferStatus.DONE:
        raise errors.Conflict("The upload is complete, and the image has its data.")
    return upload


def filename(upload: Transfer) -> str:
    """Return the file name in the metadata that the client has sent; empty if there is none."""
    for pair in upload.metadata.split(","):
        name, _, value = pair.strip().partition(" ")
        if name == "filename":
            return b64decode(value).decode(errors="replace")
    return ""


def phase(upload: Transfer) -> str:
    """Return the phase of an upload: ``uploading``, ``importing``, ``complete`` or ``failed``."""
    if upload.status == TransferStatus.RUNNING:
        complete = upload.bytes_received == upload.bytes_expected
        return "importing" if complete else "uploading"
    return "complete" if upload.status == TransferStatus.DONE else "failed"


def is_sending(upload: Transfer) -> bool:
    """Return whether a request is sending data to a resumable upload at this moment."""
    arriving = upload.chunks.filter(status=ChunkStatus.ARRIVING)
    return not heartbeat.is_silent(upload) and arriving.exists()


def terminate(image_id: str, upload_id: str, actor: Caller) -> None:
    """Cancel a resumable upload: remove its data, and queue the image again.

    Raises NotFound, Gone if the upload has failed or was cancelled, Conflict if it was
    imported.
    """
    upload = find_running(image_id, upload_id)
    if not leases.fail(upload, errors.Gone("The upload was cancelled."), actor):
        find_running(
            image_id, upload_id
        )  # raises the error for how the upload has ended meanwhile


def _uploads(image_id: str) -> QuerySet[Transfer]:
    return Transfer.objects.filter(
        image=image_id, kind=TransferKind.STAGE, import_method=""
    )
