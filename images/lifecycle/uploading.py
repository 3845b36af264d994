"""Upload of an image's data, which is digested and inspected before the image is active."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import QuerySet

from images import attributes, db, errors, outages
from images.access import Caller
from images.attributes import Changes
from images.events import record
from images.failpoints import failpoint
from images.lifecycle import late_digests
from images.lifecycle.changes import change, clean_changes
from images.lifecycle.checked_data import (
    DATA_COLUMNS,
    NOTHING_STATED,
    CheckedData,
    DataFacts,
    SourceStatement,
    check_formats_set,
    check_ready,
    check_same,
    check_size_cap,
    set_facts,
)
from images.lifecycle.deletion import trash_locations
from images.lifecycle.storing import writable_store, write
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    Transfer,
    TransferKind,
    UploadChunk,
)
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import chunks, heartbeat, leases, quota, sources, targets
from images.transitions import follow, locked, save

log = logging.getLogger(__name__)

Copy = tuple[str, str]  # the id of a store, and a key or a URL


class Received(NamedTuple):
    """The result of a transfer: facts about the data, the copies that were stored, and failed stores."""

    facts: DataFacts
    copies: Sequence[Copy]
    failed: Sequence[str] = ()  # ids of stores


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
    (deleted meanwhile), StoreError, and the errors of ``lifecycle.change`` and of the sender's
    stream.
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
            # With another status on failure, a refusal must change the status: it follows later.
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
    stored: UploadChunk | None = None,
    changes: Changes | None = None,
    source: SourceStatement = NOTHING_STATED,
) -> None:
    """Store the data of a transfer that has begun, and activate the image.

    If the transfer copies the data of an active image to other stores, the image gets further
    locations instead. If it only reads the data of an active image, the image gets digests
    instead.

    Data at a URL is checked but not stored. On failure the image gets the transfer's
    ``status_on_failure``. ``staged`` is the transfer of the staged data that ``blocks`` yields;
    it ends together with ``transfer``. If all staged data is in the chunk ``stored``, the data
    is checked but not written again: the object of the chunk becomes the image's object.
    ``changes``, which must be checked already, are made when the image becomes active. ``source``
    is what was stated of the data before plugins changed it. Raises the errors of ``upload`` for
    its data, and of ``change``.
    """
    try:
        received = _receive(image, transfer, blocks, stored, source)
        failpoint(f"{TransferKind(transfer.kind).name.lower()}.stored")
        with locked(transfer.image_id, actor, deleted=True) as image:
            leases.finish(transfer)
            if staged is not None:
                leases.finish(staged)
            if stored is not None:
                stored.delete()  # so that the removal of the chunks leaves the object
            if changes:
                change(image, changes, actor)
            _add_data(image, transfer, received, actor)
        failpoint("data.active")
    except BaseException as error:
        failpoint("data.failed")
        was_running = _fail(transfer, error, actor)
        if isinstance(error, errors.StoreError) and not was_running:
            # The store failed because its partial object was removed meanwhile.
            raise heartbeat.gone(transfer) from error
        raise
    if received.failed:
        targets.remove_failed(transfer, CircuitBreaker())


def receive_staged(
    image: Image,
    attempt: Transfer,
    blocks: Iterable[bytes],
    actor: Caller,
    staged: Transfer,
    *,
    unchanged: bool = True,
    source: SourceStatement = NOTHING_STATED,
) -> None:
    """Import the data of ``staged`` by the transfer ``attempt``, and remove its chunks.

    If the staged data is one object, which is in the only target store, and ``unchanged`` says
    that no plugin changes it, this object becomes the image's object and is not written again.
    ``source`` is as for ``receive``.

    After a temporary error the chunks are kept, so that the same data can be imported later;
    any other error ends ``staged`` too. Raises the errors of ``upload`` for its data.
    """
    stores_wanted = [target.store for target in targets.of(attempt)]
    reusable = unchanged and stores_wanted == [staged.store]
    stored = chunks.only(staged) if reusable else None
    try:
        receive(
            image, attempt, blocks, actor, staged=staged, stored=stored, source=source
        )
    except errors.ImageError as error:
        if not _is_temporary(error):
            leases.fail(staged, error, actor)
        raise
    chunks.remove(staged, CircuitBreaker())


def _is_temporary(error: errors.ImageError) -> bool:
    """Return whether the same data can be imported successfully later, after this error."""
    lasting = errors.DataMissing | errors.StoreReadOnly | chunks.ChunkDamaged
    temporary = errors.StoreError | errors.Gone | errors.ServerStopping
    return isinstance(error, temporary) and not isinstance(error, lasting)


def _receive(
    image: Image,
    transfer: Transfer,
    blocks: Iterable[bytes],
    chunk: UploadChunk | None,
    source: SourceStatement,
) -> Received:
    """Check the data of a transfer, and write it to its target stores; return the result.

    Data that stays where it is, at a URL or in the stored object of ``chunk``, is checked but not
    written.
    """
    wanted = targets.of(transfer)
    if not transfer.is_for_digests:
        more = len(wanted)
        if transfer.keeps_status:
            more = further_copies(image, [target.store for target in wanted])
            db.release_connection()
        blocks = quota.reserving(transfer, blocks, copies=more)
    data = CheckedData(
        image,
        heartbeat.keep_alive(transfer, blocks),
        expected=transfer.bytes_expected,
        checksum=transfer.checksum,
        digests=transfer.expected_digests,
        stated_by="import" if transfer.task_id else "repr-digest",
        source=source,
    )
    if transfer.kind == TransferKind.LOCATION:
        return Received(data.read(), [(transfer.store, sources.url(transfer))])
    if chunk is not None:
        return Received(data.read(), [(transfer.store, chunk.key)])
    stored = write(data, transfer, wanted)
    copies = [(target.store, target.key) for target in stored]
    failed = [target.store for target in wanted if target not in stored]
    return Received(data.facts, copies, failed)


def _add_data(
    image: Image, transfer: Transfer, received: Received, actor: Caller
) -> None:
    """Add the copies that a transfer has stored to a locked image; record an event.

    The image becomes active. An image that had data before keeps its status; a transfer for
    digests only adds the digests.
    """
    facts, copies, failed = received
    if transfer.is_for_digests:
        _add_digests(image, facts, copies[0], actor)
        return
    replaced: list[ImageLocation] = []
    if transfer.keeps_status:
        if image.status not in READABLE_STATUSES:
            raise heartbeat.gone(transfer)
        store_ids = [store_id for store_id, _ in copies]
        check_copies(image, store_ids)
        check_same(image, facts)
        replaced = _damaged(image, store_ids)
        trash_locations(image, replaced)
    if more := len(copies) - len({it.store for it in replaced}):
        quota.check_adding(image, facts.size * more, transfer)
    for store_id, key in copies:
        ImageLocation.objects.create(image=image, store=store_id, key=key)
    detail: dict[str, Any] = {"transfer": str(transfer.pk), "size": facts.size}
    if failed:
        detail["failed_stores"] = ",".join(failed)
    if transfer.keeps_status:
        detail["store"] = ",".join(store_id for store_id, _ in copies)
        if replaced:
            detail["replaced"] = [location.pk for location in replaced]
        save(image)
        record(image, "copy_image", actor, before=image.status, detail=detail)
        return
    set_facts(image, facts)
    image.pinned = False
    follow(
        image,
        image.mark_received,
        "receive",
        actor,
        also=DATA_COLUMNS,
        detail=detail,
    )


def _add_digests(image: Image, facts: DataFacts, copy: Copy, actor: Caller) -> None:
    """Save the digests of a locked image's only copy. Raises Conflict if the image has changed."""
    store, key = copy
    location = _active(image).filter(store=store, key=key).first()
    if location is None or not late_digests.note(image, location.pk, facts, actor):
        raise errors.Conflict(
            "The image was changed while its data was read, so it gets no digests."
        )


def _active(image: Image) -> QuerySet[ImageLocation]:
    return image.locations.filter(status=LocationStatus.ACTIVE)


def _damaged(image: Image, store_ids: Sequence[str]) -> list[ImageLocation]:
    """Return the damaged copies in these stores, which a new copy replaces."""
    return list(_active(image).exclude(damage="").filter(store__in=store_ids))


def further_copies(image: Image, store_ids: Sequence[str]) -> int:
    """Return how many copies an image has in addition once its data is copied to these stores.

    A copy that replaces a damaged one is not counted.
    """
    return len(store_ids) - len({it.store for it in _damaged(image, store_ids)})


def stores_with_data(image: Image) -> list[str]:
    """Return the store ids of an image's copies without known damage, one for each copy."""
    return list(_active(image).filter(damage="").values_list("store", flat=True))


def check_copies(image: Image, store_ids: Sequence[str]) -> None:
    """Raise Invalid if one of these stores already has the data of a locked image.

    Damaged copies do not count: new copies replace them. Raises OverLimit if the image would have
    too many locations.
    """
    present = stores_with_data(image)
    for store_id in store_ids:
        if store_id in present:
            raise errors.Invalid(f"Image is already present at store '{store_id}'.")
    more = further_copies(image, store_ids)
    attributes.check_location_count(_active(image).count() + more)


def _fail(transfer: Transfer, error: BaseException, actor: Caller) -> bool:
    try:
        return leases.fail(transfer, error, actor)
    except Exception as failure:
        # The reaper ends the transfer when its lease expires; the sender gets the first error.
        outages.report(failure, log, "transfer %s could not be ended", transfer.pk)
        return True
