"""Requests to copy an image's data to a further store, which a background worker carries out."""

from __future__ import annotations

from images import errors, stores
from images.access import Caller
from images.events import record
from images.lifecycle.uploading import check_copy, writable_store
from images.models import OPEN_STATUSES, Image, ImportMethod, Status, TransferKind
from images.transfers import leases, quota
from images.transfers.tasks import Task
from images.transitions import locked


def request_image_copy(image_id: str, store_id: str, actor: Caller) -> None:
    """Request a copy of an active image's data in a further store.

    A background worker reads the data, checks it like an upload, and adds the location; the
    image keeps its status. Raises NotFound, Conflict unless the image is active, or if the copy
    is requested already, Invalid for an unknown store or one that has the data, StoreReadOnly,
    OverLimit.
    """
    store = writable_store(store_id)
    with locked(image_id, actor) as image:
        queue_image_copy(image, store, actor)


def queue_image_copy(
    image: Image, store: stores.Store, actor: Caller, task: Task | None = None
) -> None:
    """Queue the copy of a locked image's data to a further store.

    ``task`` is the request of a client of the import API, if there is one. Raises the errors
    of ``request_image_copy``.
    """
    if image.status != Status.ACTIVE:
        raise errors.Conflict(
            f"Only an active image can be copied to another store; image {image.pk} is "
            f"{image.status}."
        )
    check_copy(image, store.id)
    if image.transfers.filter(store=store.id, status__in=OPEN_STATUSES).exists():
        raise errors.Conflict(
            f"Image {image.pk} is being copied to store {store.id} already."
        )
    quota.check_uploading(image)
    transfer = leases.begin(
        image,
        TransferKind.IMAGE_COPY,
        store,
        actor,
        expected=image.size,
        status_on_failure=Status.QUEUED,
        reserved=quota.reserve(image, image.size),
        import_method=ImportMethod.COPY_IMAGE,
        task=task,
    )
    detail = {"transfer": str(transfer.pk), "store": store.id}
    record(image, "request_copy_image", actor, before=image.status, detail=detail)
