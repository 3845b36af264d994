"""Upload of an image's data, which is digested and inspected before the image is active."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing

from images import attributes, db, errors, outages, stores
from images.access import Caller
from images.attributes import Changes
from images.events import record
from images.failpoints import failpoint
from images.lifecycle.changes import change, clean_changes
from images.lifecycle.checked_data import (
    DATA_COLUMNS,
    CheckedData,
    DataFacts,
    check_formats_set,
    check_ready,
    check_same,
    check_size_cap,
    set_facts,
)
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    Transfer,
    TransferKind,
)
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import chunks, heartbeat, leases, quota, sources
from images.transitions import follow, locked, save

log = logging.getLogger(__name__)


def upload(
    image_id: str,
    blocks: Iterable[bytes],
    actor: Caller,
    *,
    expected_size: int | None = None,
    expected_checksum: str | None = None,
    expected_digests: Mapping[str, str] | None = None,
    store_id: str | None = None,
    changes: Changes | None = None,
    status_on_failure: Status = Status.QUEUED,
) -> None:
    """Receive an image's data: queued -> saving -> active.

    The bytes stream once, from the sender through the digests and the inspection into the
    store; no transaction is open meanwhile. On any failure no object stays in the store and
    the image gets ``status_on_failure``; a pinned image is queued instead, because the same
    bytes can still be uploaded. ``changes`` are applied when the upload begins.

    Raises Conflict (the image is not queued, or is pinned to other data), Invalid (formats
    not set, size, checksum or digest mismatch, no such store), OverLimit, ContentRefused, Gone
    (deleted meanwhile), StoreError, what the changes raise, and whatever the sender's stream
    raises.
    """
    check_size_cap(expected_size)
    store = writable_store(store_id)
    changes = changes and clean_changes(changes)
    with locked(image_id, actor) as image:
        if changes and image.status == Status.QUEUED:
            change(image, changes, actor)
        follow(image, image.mark_saving, "upload", actor)
        check_formats_set(image)
        quota.check_uploading(image)
        if image.pinned:
            status_on_failure = Status.QUEUED
        reserved = None
        if status_on_failure == Status.QUEUED:
            check_ready(image)
            # Else a refusal must change the status, so it is raised during the transfer.
            reserved = quota.reserve(image, expected_size)
        transfer = leases.begin(
            image,
            TransferKind.UPLOAD,
            store,
            actor,
            expected=expected_size,
            status_on_failure=status_on_failure,
            checksum=expected_checksum,
            digests=expected_digests,
            reserved=reserved,
        )
    failpoint("upload.begun")
    db.release_connection()
    receive(image, transfer, blocks, actor)


def receive(
    image: Image,
    transfer: Transfer,
    blocks: Iterable[bytes],
    actor: Caller,
    *,
    staged: Transfer | None = None,
    changes: Changes | None = None,
) -> None:
    """Store the data of a transfer that has begun, and activate the image.

    An image that is copied to another store gets a further location instead.

    The data at a location is only checked, because it stays where it is. On failure the image
    gets the transfer's ``status_on_failure``. ``staged`` is the transfer that the blocks come
    from; it ends together with this one. ``changes``, which are checked already, are made when
    the image becomes active. Raises the errors of ``upload`` for its data, and of ``change``.
    """
    try:
        facts = _receive(image, transfer, blocks, stores.get(transfer.store))
        failpoint(f"{TransferKind(transfer.kind).name.lower()}.stored")
        with locked(transfer.image_id, actor, deleted=True) as image:
            leases.finish(transfer)
            if staged is not None:
                leases.finish(staged)
            if transfer.kind == TransferKind.IMAGE_COPY:
                _add_copy(image, transfer, facts, actor)
            else:
                if changes:
                    change(image, changes, actor)
                _activate(image, transfer, facts, actor)
        failpoint("data.active")
    except BaseException as error:
        failpoint("data.failed")
        was_running = _fail(transfer, error, actor)
        if isinstance(error, errors.StoreError) and not was_running:
            # The store failed because its partial object was removed meanwhile.
            raise heartbeat.gone(transfer) from error
        raise


def receive_staged(
    image: Image,
    attempt: Transfer,
    blocks: Iterable[bytes],
    actor: Caller,
    staged: Transfer,
) -> None:
    """Import the data of ``staged`` by the transfer ``attempt``, and remove its chunks.

    After an error that is temporary the chunks are kept, so that the same data can be imported
    later; any other error ends ``staged`` too. Raises the errors of ``upload`` for its data.
    """
    try:
        receive(image, attempt, blocks, actor, staged=staged)
    except errors.ImageError as error:
        if not _is_temporary(error):
            leases.fail(staged, error, actor)
        raise
    chunks.remove(staged, CircuitBreaker())


def _is_temporary(error: errors.ImageError) -> bool:
    """Whether a later import of the same data can succeed."""
    lasting = errors.DataMissing | errors.StoreReadOnly | chunks.ChunkDamaged
    temporary = errors.StoreError | errors.Gone | errors.ServerStopping
    return isinstance(error, temporary) and not isinstance(error, lasting)


def writable_store(store_id: str | None) -> stores.Store:
    """Return the store with this id, or the default store.

    Raises Invalid if there is no such store, StoreReadOnly if it cannot be written.
    """
    store = stores.get(store_id) if store_id else stores.default()
    if store.read_only:
        raise errors.StoreReadOnly(
            f"Adding images to store {store.id} is disabled: the store is read-only. "
            "Choose another store."
        )
    return store


def check_mounted(store: stores.Store) -> None:
    """Raise StoreError if the folder of a store is empty but the database has data in it."""
    store.check_mounted(ImageLocation.objects.filter(store=store.id).exists)


def _receive(
    image: Image, transfer: Transfer, blocks: Iterable[bytes], store: stores.Store
) -> DataFacts:
    check_mounted(store)
    data = CheckedData(
        image,
        heartbeat.keep_alive(transfer, quota.reserving(transfer, blocks)),
        expected=transfer.bytes_expected,
        checksum=transfer.checksum,
        digests=transfer.expected_digests,
    )
    if transfer.kind == TransferKind.LOCATION:
        return data.read()
    with closing(_arriving(data, transfer)) as arriving:
        store.put(transfer.key, arriving, transfer.bytes_expected)
    return data.facts


def _arriving(data: CheckedData, transfer: Transfer) -> Generator[bytes, None, None]:
    yield from data
    heartbeat.send(transfer)  # completing the object can take long
    failpoint("data.received")


def _activate(
    image: Image, transfer: Transfer, facts: DataFacts, actor: Caller
) -> None:
    quota.check_adding(image, facts.size, transfer)
    stays = transfer.kind == TransferKind.LOCATION
    ImageLocation.objects.create(
        image=image,
        store=transfer.store,
        key=sources.url(transfer) if stays else transfer.key,
    )
    set_facts(image, facts)
    image.pinned = False
    follow(
        image,
        image.mark_received,
        "receive",
        actor,
        also=DATA_COLUMNS,
        detail={"transfer": str(transfer.pk), "size": facts.size},
    )


def _add_copy(
    image: Image, transfer: Transfer, facts: DataFacts, actor: Caller
) -> None:
    if image.status not in READABLE_STATUSES:
        raise heartbeat.gone(transfer)
    check_copy(image, transfer.store)
    check_same(image, facts)
    quota.check_adding(image, facts.size, transfer)
    ImageLocation.objects.create(image=image, store=transfer.store, key=transfer.key)
    save(image)
    detail = {
        "transfer": str(transfer.pk),
        "store": transfer.store,
        "size": facts.size,
    }
    record(image, "copy_image", actor, before=image.status, detail=detail)


def check_copy(image: Image, store_id: str) -> None:
    """Raise Invalid if a store has the data of a locked image, OverLimit for too many locations."""
    active = image.locations.filter(status=LocationStatus.ACTIVE)
    present = list(active.values_list("store", flat=True))
    if store_id in present:
        raise errors.Invalid(f"Image is already present at store '{store_id}'.")
    attributes.check_location_count(len(present) + 1)


def _fail(transfer: Transfer, error: BaseException, actor: Caller) -> bool:
    try:
        return leases.fail(transfer, error, actor)
    except Exception as failure:
        # The reaper ends the transfer when its lease expires; the sender gets the first error.
        outages.report(failure, log, "transfer %s could not be ended", transfer.pk)
        return True
