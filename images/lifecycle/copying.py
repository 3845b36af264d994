"""Requests to copy an image's data to a further store, which a background worker carries out."""

from __future__ import annotations

from images import errors
from images.access import Caller
from images.events import record
from images.lifecycle.storing import writable_store
from images.lifecycle.uploading import damaged_to_replace, further_copies
from images.models import (
    OPEN_STATUSES,
    Image,
    ImportMethod,
    Status,
    Transfer,
    TransferKind,
)
from images.stores import Store
from images.transfers import leases, quota
from images.transfers.targets import Targets
from images.transfers.tasks import Task
from images.transitions import locked


def request_image_copy(image_id: str, store_id: str, actor: Caller) -> None:
    """Request a copy of an active image's data in one more store.

    A background worker reads the data, checks it like an upload, and adds the location; the
    image keeps its status. A damaged copy in that store is replaced, and goes to the trash. Raises
    NotFound, Conflict if the image is not active or the copy is requested already, Invalid if the
    store is unknown or has the data already, StoreReadOnly, and OverLimit for too many locations or
    a full quota.
    """
    store = writable_store(store_id)
    with locked(image_id, actor) as image:
        check_copied(image.status)
        _check_not_copied(image, store)
        queue_image_copy(image, Targets((store,)), actor)


def check_copied(status: str) -> None:
    """Raise Conflict unless the status is ``active``: only then an image can be copied to a store."""
    if status != Status.ACTIVE:
        raise errors.Conflict(
            f"Only an active image can be copied to another store. This one is {status}."
        )


def _check_not_copied(image: Image, store: Store) -> None:
    """Raise Conflict if an open transfer copies the data of a locked image to a store."""
    copying = Transfer.objects.into(store.id).filter(image=image)
    if copying.filter(status__in=OPEN_STATUSES).exists():
        raise errors.Conflict(
            f"Image {image.pk} is being copied to store {store.id} already."
        )


def queue_image_copy(
    image: Image, wanted: Targets, actor: Caller, task: Task | None = None
) -> None:
    """Queue the copy of a locked, active image's data to the stores ``wanted``.

    A damaged copy in one of them is replaced. The caller must have called ``check_copied`` for the
    image. ``task`` is the request of a client of the import API, if there is one; without it
    ``wanted`` has one store. Raises Invalid if one of the stores has an intact copy already,
    OverLimit for too many locations or a full quota.
    """
    store_ids = [store.id for store in wanted.stores]
    replaced = damaged_to_replace(image, store_ids)
    quota.check_uploading(image)
    reserved = None  # a copy that replaces a damaged one needs no further space
    if more := further_copies(store_ids, replaced):
        reserved = quota.reserve(image, image.size, more)
        quota.check_staging(image, image.size or 0)
    transfer = leases.begin(
        image,
        TransferKind.IMAGE_COPY,
        wanted.first,
        actor,
        expected=image.size,
        status_on_failure=Status.QUEUED,
        reserved=reserved,
        import_method=ImportMethod.COPY_IMAGE,
        task=task,
        wanted=wanted if task else None,
    )
    detail = {
        "transfer": str(transfer.pk),
        "store": ",".join(store_ids),
    }
    record(image, "request_copy_image", actor, before=image.status, detail=detail)
