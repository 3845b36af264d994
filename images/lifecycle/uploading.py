"""Upload of an image's data, which is digested and inspected before the image is active."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.conf import settings

from images import db, errors, signatures, stores
from images.access import Caller
from images.attributes import Changes
from images.failpoints import failpoint
from images.formats import inspection
from images.lifecycle.changes import change, clean_changes
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    Status,
    Transfer,
    TransferKind,
)
from images.stores.digests import Digests, digesting
from images.transfers import heartbeat, leases, quota
from images.transitions import follow, locked

log = logging.getLogger(__name__)
DATA_COLUMNS = (
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "pinned",
)


@dataclass(frozen=True)
class Received:
    """The sizes and digests of bytes that have arrived."""

    size: int  # bytes
    virtual_size: int | None  # bytes
    checksum: str  # MD5, hexadecimal
    hash_algorithm: str
    hash_value: str  # hexadecimal


def upload(
    image_id: str,
    blocks: Iterable[bytes],
    actor: Caller,
    *,
    expected_size: int | None = None,
    expected_checksum: str | None = None,
    store_id: str | None = None,
    changes: Changes | None = None,
    status_on_failure: Status = Status.QUEUED,
) -> None:
    """Receive an image's data: queued -> saving -> active.

    The bytes stream once, from the sender through the digests and the inspection into the
    store; no transaction is open meanwhile. On any failure no object stays in the store and the
    image returns to ``status_on_failure``; a pinned image is queued instead, because the same
    bytes can still be uploaded. ``changes`` are applied when the upload begins.

    Raises Conflict (the image is not queued, or the bytes differ from the pin), Invalid (formats
    not set, size or checksum mismatch, no such store), OverLimit, ContentRefused, Gone (deleted
    meanwhile), StoreError, what the changes raise, and whatever the sender's stream raises.
    """
    check_size_cap(expected_size)
    store = writable_store(store_id)
    changes = changes and clean_changes(changes)
    with locked(image_id) as image:
        if changes and image.status == Status.QUEUED:
            change(image, changes, actor)
        follow(image, image.mark_saving, "upload", actor)
        check_formats_set(image)
        if image.pinned:
            status_on_failure = Status.QUEUED
        if status_on_failure == Status.QUEUED:
            quota.check_announced(image, expected_size)
        else:  # a refusal must change the status, so it is raised during the transfer
            blocks = _within_quota(image, expected_size, blocks)
        transfer = leases.begin(
            image,
            TransferKind.UPLOAD,
            store,
            actor,
            expected=expected_size,
            status_on_failure=status_on_failure,
            checksum=expected_checksum,
        )
    failpoint("upload.begun")
    db.release_connection()
    receive(image, transfer, blocks, actor)


def _within_quota(
    image: Image, size: int | None, blocks: Iterable[bytes]
) -> Iterator[bytes]:
    quota.check_announced(image, size)
    yield from blocks


def receive(
    image: Image,
    transfer: Transfer,
    blocks: Iterable[bytes],
    actor: Caller,
    *,
    staged: Transfer | None = None,
) -> None:
    """Store the data of a transfer that has begun and activate the image.

    On failure the image returns to the transfer's status on failure. ``staged`` is the resumable
    upload that the blocks come from; it ends together with the transfer. Raises as ``upload``
    does.
    """
    try:
        received = _receive(image, transfer, blocks, stores.get(transfer.store))
        failpoint(f"{TransferKind(transfer.kind).name.lower()}.stored")
        with locked(transfer.image_id, deleted=True) as image:
            leases.finish(transfer)
            if staged is not None:
                leases.finish(staged)
            _activate(image, transfer, received, actor)
        failpoint("data.active")
    except BaseException as error:
        failpoint("data.failed")
        was_running = _fail(transfer, error, actor)
        if isinstance(error, errors.StoreError) and not was_running:
            # The store failed because its partial object was removed meanwhile.
            raise heartbeat.gone(transfer) from error
        raise


def writable_store(store_id: str | None) -> stores.Store:
    """Return the store with this id, or the default store. Raises Invalid, StoreReadOnly."""
    store = stores.get(store_id) if store_id else stores.default()
    if store.read_only:
        raise errors.StoreReadOnly(
            f"Adding images to store {store.id} is disabled: the store is read-only. "
            "Choose another store."
        )
    return store


def check_formats_set(image: Image) -> None:
    """Raise Invalid unless the image has both formats, which its data needs."""
    unset = [
        name for name in ("disk_format", "container_format") if not getattr(image, name)
    ]
    if unset:
        raise errors.Invalid(
            f"Properties {', '.join(unset)} must be set prior to saving data."
        )


def check_size_cap(size: int | None) -> None:
    """Raise OverLimit if ``size`` (bytes) exceeds IMAGECATALOG_IMAGE_SIZE_CAP."""
    cap = settings.IMAGECATALOG_IMAGE_SIZE_CAP
    if size is not None and size > cap:
        raise errors.OverLimit(f"Image exceeds the maximum size of {cap} bytes.")


def _receive(
    image: Image, transfer: Transfer, blocks: Iterable[bytes], store: stores.Store
) -> Received:
    check_formats_set(image)  # a client may have unset them while the transfer waited
    algorithm = settings.IMAGECATALOG_HASH_ALGORITHM
    if image.pinned and image.os_hash_algo:
        algorithm = image.os_hash_algo
    signature = signatures.of(image.properties)
    algorithms = {"md5", algorithm} | ({signature.algorithm} if signature else set())
    inspector = inspection(image.disk_format or "", image.container_format or "")
    outcome: list[Received] = []

    def checked(digests: Digests) -> Iterator[bytes]:
        # Every check of the bytes ends before the store completes the object.
        counted = _counted(blocks, transfer.bytes_expected, quota.remaining(image))
        for block in digesting(heartbeat.keep_alive(transfer, counted), digests):
            inspector.feed(block)
            yield block
        hexdigests = digests.hexdigests()
        received = Received(
            digests.size,
            inspector.verdict(),
            hexdigests["md5"],
            algorithm,
            hexdigests[algorithm],
        )
        _check_claimed(received, transfer.checksum)
        if signature:
            signature.check(hexdigests[signature.algorithm])
        check_same(image, received.size, received.checksum, received.hash_value)
        outcome.append(received)
        heartbeat.send(transfer)  # completing the object can take long
        failpoint("data.received")

    with Digests(*algorithms) as digests:
        store.put(transfer.key, checked(digests))
    return outcome[0]


def _counted(
    blocks: Iterable[bytes], expected: int | None, room: int | None
) -> Iterator[bytes]:
    size = 0
    for block in blocks:
        size += len(block)
        if expected is not None and size > expected:
            raise errors.Invalid(f"Size exceeds: expected {expected} bytes.")
        check_size_cap(size)
        if room is not None and size > room:
            raise quota.exceeded()
        yield block
    if expected is not None and size < expected:
        raise errors.Invalid(
            f"Size mismatch: expected {expected} bytes, got {size} bytes."
        )


def _check_claimed(received: Received, checksum: str | None) -> None:
    if checksum and checksum.lower() != received.checksum:
        raise errors.Invalid(
            f"Supplied checksum ({checksum}) and checksum generated from uploaded image "
            f"({received.checksum}) did not match."
        )


def check_pinned_size(image: Image, size: int | None) -> None:
    """Raise Conflict if ``size`` (bytes) differs from the pin's size, where both are known."""
    if image.pinned and size is not None and image.size not in (None, size):
        raise errors.Conflict(
            f"Image {image.pk} has had data of {image.size} bytes and accepts only the same "
            "bytes again. Send them, or create a new image."
        )


def check_same(
    image: Image, size: int, checksum: str | None, hash_value: str | None
) -> None:
    """Raise Conflict unless the data has the size and digests of the image's known data.

    Bytes that were acknowledged once never change: an image that has data, or had data (pinned),
    accepts only data of the same size and digests.
    """
    if not (image.pinned or image.status in READABLE_STATUSES):
        return
    values = {"size": size, "checksum": checksum, "os_hash_value": hash_value}
    for name, value in values.items():
        if getattr(image, name) not in (None, value):
            raise errors.Conflict(
                f"Image {image.pk} has had other data: the {name} of this data differs. "
                "Send the same bytes again, or create a new image."
            )


def _activate(
    image: Image, transfer: Transfer, received: Received, actor: Caller
) -> None:
    quota.check_adding(image, received.size)
    ImageLocation.objects.create(image=image, store=transfer.store, key=transfer.key)
    image.size = received.size
    image.virtual_size = received.virtual_size
    image.checksum = received.checksum
    image.os_hash_algo = received.hash_algorithm
    image.os_hash_value = received.hash_value
    image.pinned = False
    follow(
        image,
        image.mark_received,
        "receive",
        actor,
        also=DATA_COLUMNS,
        detail={"transfer": str(transfer.pk), "size": received.size},
    )


def _fail(transfer: Transfer, error: BaseException, actor: Caller) -> bool:
    try:
        return leases.fail(transfer, error, actor)
    except Exception:
        # The reaper ends the transfer when its lease expires; the sender gets the first error.
        log.exception("transfer %s could not be ended", transfer.pk)
        return True
