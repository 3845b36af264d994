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
    writing,
)
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import (
    chunks,
    client_bytes,
    heartbeat,
    leases,
    quota,
    sources,
    targets,
)
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
    receive(image, transfer, client_bytes.counted(transfer, blocks, actor), actor)


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
            store_ids = [target.store for target in wanted]
            damaged = _active(image).exclude(damage="").filter(store__in=store_ids)
            more = further_copies(store_ids, damaged)
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
    """Add the result of a transfer to a locked image, and record an event.

    The image becomes active. An image that had data before keeps its status, and gets further
    locations, or only digests if the transfer was begun for them.
    """
    facts, copies, _ = received
    if transfer.is_for_digests:
        _add_digests(image, facts, copies[0], actor)
        return
    if transfer.keeps_status:
        _add_copies(image, transfer, received, actor)
        return
    _create_locations(image, transfer, received, len(copies))
    set_facts(image, facts)
    image.pinned = False
    follow(
        image,
        image.mark_received,
        "receive",
        actor,
        also=DATA_COLUMNS,
        detail=_detail(transfer, received),
    )


def _add_copies(
    image: Image, transfer: Transfer, received: Received, actor: Caller
) -> None:
    """Add the received copies to a locked image that has data.

    In a store whose copy of the image is damaged, the new copy replaces that one.
    """
    if image.status not in READABLE_STATUSES:
        raise heartbeat.gone(transfer)
    store_ids = [store_id for store_id, _ in received.copies]
    replaced = damaged_to_replace(image, store_ids)
    check_same(image, received.facts)
    trash_locations(image, replaced)
    more = further_copies(store_ids, replaced)
    _create_locations(image, transfer, received, more)
    detail = _detail(transfer, received) | {"store": ",".join(store_ids)}
    if replaced:
        detail["replaced"] = [location.pk for location in replaced]
    save(image)
    record(image, "copy_image", actor, before=image.status, detail=detail)


def _create_locations(
    image: Image, transfer: Transfer, received: Received, more: int
) -> None:
    """Create the locations of the stored copies, of which ``more`` need further space in the quota."""
    if more:
        quota.check_adding(image, received.facts.size * more, transfer)
    for store_id, key in received.copies:
        writing.insert(ImageLocation(image=image, store=store_id, key=key))


def _detail(transfer: Transfer, received: Received) -> dict[str, Any]:
    """Return the details of the event that records the end of a transfer."""
    detail = {"transfer": str(transfer.pk), "size": received.facts.size}
    if received.failed:
        detail["failed_stores"] = ",".join(received.failed)
    return detail


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


def further_copies(store_ids: Sequence[str], replaced: Iterable[ImageLocation]) -> int:
    """Return the number of copies in these stores that do not replace any of the damaged copies."""
    return len(store_ids) - len({it.store for it in replaced})


def stores_with_data(image: Image) -> list[str]:
    """Return the store ids of an image's copies without known damage, one for each copy."""
    return list(_active(image).filter(damage="").values_list("store", flat=True))


def damaged_to_replace(image: Image, store_ids: Sequence[str]) -> list[ImageLocation]:
    """Return the damaged copies of a locked image that new copies in these stores replace.

    Raises Invalid if one of the stores already has the data without damage, and OverLimit if the
    image would have too many locations.
    """
    present = list(_active(image))
    intact = [location.store for location in present if not location.damage]
    for store_id in store_ids:
        if store_id in intact:
            raise errors.Invalid(f"Image is already present at store '{store_id}'.")
    replaced = [location for location in present if location.store in store_ids]
    more = further_copies(store_ids, replaced)
    attributes.check_location_count(len(present) + more)
    return replaced


def _fail(transfer: Transfer, error: BaseException, actor: Caller) -> bool:
    try:
        return leases.fail(transfer, error, actor)
    except Exception as failure:
        # The reaper ends the transfer when its lease expires; the sender gets the first error.
        outages.report(failure, log, "transfer %s could not be ended", transfer.pk)
        return True
