"""Writing of checked data to all target stores of a transfer at the same time."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable
from contextlib import closing

from images import errors, stores
from images.failpoints import failpoint
from images.lifecycle.checked_data import CheckedData
from images.models import ImageLocation, Transfer, TransferTarget
from images.stores import tee
from images.transfers import heartbeat, targets

log = logging.getLogger(__name__)


def write(
    data: CheckedData, transfer: Transfer, wanted: list[TransferTarget]
) -> list[TransferTarget]:
    """Write the data of a transfer to the target stores, and return the targets that have it.

    The reason is saved in the row of each target that has failed. The failure of a required
    target is raised. If no target is required and all fail, the first failure is raised.
    Unexpected errors of a store and the errors of the data are always raised.
    """
    required = all(target.required for target in wanted)
    copies = [(target.store, target.key) for target in wanted]
    rarely_read = stores.heaviest_first(copies)[1:]
    writers = [
        _writer(target, transfer, len(wanted) > 1, copy in rarely_read)
        for target, copy in zip(wanted, copies, strict=True)
    ]
    with closing(_arriving(data, transfer)) as arriving:
        failures = tee.write(writers, arriving, all_must_succeed=required)
    for target, error in zip(wanted, failures, strict=True):
        if isinstance(error, errors.ImageError):
            targets.note_failure(target, error)
            if error.operator_message and not required:  # else it is raised
                log.warning("store %s failed", target.store, exc_info=error)
    stored = [
        target for target, error in zip(wanted, failures, strict=True) if error is None
    ]
    unexpected = [it for it in failures if not isinstance(it, errors.ImageError)]
    if fault := tee.reason(unexpected):
        raise fault
    reason = tee.reason(failures)
    if reason and (required or not stored):
        raise reason
    return stored


def writable_store(store_id: str | None) -> stores.Store:
    """Return the store with this id; without an id, the default store.

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


def _writer(
    target: TransferTarget, transfer: Transfer, is_one_of: bool, rarely_read: bool
) -> tee.Writer:
    """Return a function that writes blocks to a target store.

    If the store is known to be unusable, the function raises the error when it is called, so
    that only this target fails. ``is_one_of`` says that the transfer has other targets, too,
    ``rarely_read`` that downloads prefer another one.
    """
    try:
        store = stores.get(target.store)
        check_mounted(store)
    except errors.ImageError as error:
        return _raising(error)

    def put(blocks: Iterable[bytes]) -> None:
        store.put(target.key, blocks, transfer.bytes_expected, rarely_read)
        if is_one_of:
            failpoint("target.stored")

    return put


def _raising(error: errors.ImageError) -> tee.Writer:
    def fail(blocks: Iterable[bytes]) -> None:
        raise error

    return fail


def _arriving(data: CheckedData, transfer: Transfer) -> Generator[bytes, None, None]:
    yield from data
    heartbeat.send(transfer)  # completing the object can take long
    failpoint("data.received")
