"""An image's data on its way in: counted, digested, inspected and checked before the image is active."""

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
from images.lifecycle.changes import change, cleaned
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
    """What is known about bytes that have arrived."""

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
    store; no transaction is open meanwhile. Whatever goes wrong, nothing stays in the store
    and the image is ``resting`` again; one that has had data is queued, for the same bytes may
    still come. ``changes`` are made when the data begins to come.

    Raises Conflict (not queued, or not the bytes that a pin asks for), Invalid (formats not
    set, size or checksum mismatch, no such store), OverLimit, ContentRefused, Gone (deleted
    meanwhile), StoreError, what the changes raise, and whatever the sender's stream raises.
    """
    check_cap(expected_size)
    store = writable(store_id)
    changes = changes and cleaned(changes)
    with locked(image_id) as image:
        if changes and image.status == Status.QUEUED:
            change(image, changes, actor)
        follow(image, image.mark_saving, "upload", actor)
        check_formats_set(image)
        if image.pinned:
            status_on_failure = Status.QUEUED
        if status_on_failure == Status.QUEUED:
            quota.check_coming(image, expected_size)
        else:  # every refusal counts as an attempt
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
    quota.check_coming(image, size)
    yield from blocks


def receive(
    image: Image,
    transfer: Transfer,
    blocks: Iterable[bytes],
    actor: Caller,
    *,
    staged: Transfer | None = None,
) -> None:
    """Bring in the data of an attempt that has begun: to active, or where the attempt rests.

    ``staged`` is the upload that the blocks come from; it ends together with the attempt.
    Raises as ``upload`` does.
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
        still_ours = _fail(transfer, error, actor)
        if isinstance(error, errors.StoreError) and not still_ours:
            # The store fails because its half-written object was cleaned away.
            raise heartbeat.gone(transfer) from error
        raise


def writable(store_id: str | None) -> stores.Store:
    """The store of this id, or the default. Raises Invalid, StoreReadOnly."""
    store = stores.get(store_id) if store_id else stores.default()
    if store.read_only:
        raise errors.StoreReadOnly(
            f"Adding images to store {store.id} is disabled: it can only be read. "
            "Choose another store."
        )
    return store


def check_formats_set(image: Image) -> None:
    """Data needs both formats. Raises Invalid."""
    unset = [
        name for name in ("disk_format", "container_format") if not getattr(image, name)
    ]
    if unset:
        raise errors.Invalid(
            f"Properties {', '.join(unset)} must be set prior to saving data."
        )


def check_cap(size: int | None) -> None:
    """Raise OverLimit for more bytes than an image may have."""
    cap = settings.IMAGECATALOG_IMAGE_SIZE_CAP
    if size is not None and size > cap:
        raise errors.OverLimit(f"Image exceeds the maximum size of {cap} bytes.")


def _receive(
    image: Image, transfer: Transfer, blocks: Iterable[bytes], store: stores.Store
) -> Received:
    check_formats_set(image)  # they may have been unset while the attempt waited
    algorithm = settings.IMAGECATALOG_HASH_ALGORITHM
    if image.pinned and image.os_hash_algo:
        algorithm = image.os_hash_algo
    signature = signatures.of(image.properties)
    algorithms = {"md5", algorithm} | ({signature.algorithm} if signature else set())
    inspector = inspection(image.disk_format or "", image.container_format or "")
    outcome: list[Received] = []

    def checked(digests: Digests) -> Iterator[bytes]:
        # All that can speak against the bytes is said before the store has completed them.
        counted = _counted(blocks, transfer.bytes_expected, quota.room(image))
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
        heartbeat.send(transfer)  # completing the object may take its time
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
        check_cap(size)
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
    """Raise Conflict for data of another size than the image had, where both are known."""
    if image.pinned and size is not None and image.size not in (None, size):
        raise errors.Conflict(
            f"Image {image.pk} has had data of {image.size} bytes, and takes only the same "
            "bytes again. Send them, or create a new image."
        )


def check_same(
    image: Image, size: int, checksum: str | None, hash_value: str | None
) -> None:
    """Bytes that were acknowledged once never change. Raises Conflict for other ones.

    An image that has data, or had data (pinned), takes only data of the same size and digests.
    """
    if not (image.pinned or image.status in READABLE_STATUSES):
        return
    found = {"size": size, "checksum": checksum, "os_hash_value": hash_value}
    for name, value in found.items():
        if getattr(image, name) not in (None, value):
            raise errors.Conflict(
                f"Image {image.pk} has had data, and this is other data: its {name} "
                "differs. Give the same bytes again, or create a new image."
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
        # The reaper does it when the lease has run out; the sender is told the first reason.
        log.exception("transfer %s could not be ended", transfer.pk)
        return True
