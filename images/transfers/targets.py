"""The target stores of a transfer: one, or several that an import writes to at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from images import errors, stores
from images.models import TargetStatus, Transfer, TransferTarget
from images.stores import Store
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import object_removal
from images.transfers.keys import key_of


@dataclass(frozen=True)
class Targets:
    """The stores that an import is to write to, and whether it fails if one of them fails."""

    stores: tuple[Store, ...]
    all_must_succeed: bool = True

    @property
    def first(self) -> Store:
        """The first of the stores, which the row of the transfer names."""
        return self.stores[0]

    def __len__(self) -> int:
        return len(self.stores)


def create(transfer: Transfer, wanted: Targets) -> None:
    """Create the rows of a new transfer's target stores, each with a key that is never reused."""
    TransferTarget.objects.bulk_create(
        TransferTarget(
            transfer=transfer,
            store=store.id,
            key=transfer.key
            if store.id == transfer.store
            else key_of(transfer.image_id, uuid4()),
            required=wanted.all_must_succeed,
        )
        for store in wanted.stores
    )


def wanted(transfer: Transfer) -> Targets | None:
    """Return the stores that an interrupted import was to write to, so that it can be repeated.

    Returns None for a transfer without saved target stores.
    """
    rows = _rows(transfer)
    if not rows:
        return None
    found = tuple(stores.get(row.store) for row in rows)
    return Targets(found, all(row.required for row in rows))


def of(transfer: Transfer) -> list[TransferTarget]:
    """Return the target stores of a transfer, beginning with the first.

    A transfer without saved target stores has one: an unsaved row with its own store and key.
    """
    rows = _rows(transfer) if transfer.task_id else []
    return rows or [_own(transfer)]


def _rows(transfer: Transfer) -> list[TransferTarget]:
    return list(transfer.targets.order_by("pk"))


def _own(transfer: Transfer) -> TransferTarget:
    return TransferTarget(
        transfer=transfer, store=transfer.store, key=transfer.key, required=True
    )


def note_failure(target: TransferTarget, error: errors.ImageError) -> None:
    """Mark a target store as failed, and save the error that is the reason."""
    TransferTarget.objects.filter(pk=target.pk).update(
        status=TargetStatus.FAILED, error_code=error.code, error=str(error)
    )


def finish(transfer: Transfer) -> None:
    """Mark as done the target stores that have not failed, after a successful transfer."""
    waiting = TransferTarget.objects.filter(
        transfer=transfer, status=TargetStatus.WAITING
    )
    waiting.update(status=TargetStatus.DONE)


def remove(transfer: Transfer, breaker: CircuitBreaker, *, abandoned: bool) -> bool:
    """Remove the data that a failed transfer has written to its target stores.

    ``abandoned`` says that partial data may exist. Returns True if all data is removed, and
    False if an object cannot be removed now, because its store fails or ``breaker`` reports the
    store as unavailable.
    """
    # Not by `of`: an interrupted attempt has given its task to the next one.
    rows = _rows(transfer) or [_own(transfer)]
    removed = [
        object_removal.delete(row.store, row.key, breaker, abandoned=abandoned)
        for row in rows
    ]
    return all(removed)


def remove_failed(transfer: Transfer, breaker: CircuitBreaker) -> None:
    """Remove the partial data of a successful transfer from the target stores that have failed.

    Idempotent. The background worker retries removals that have failed.
    """
    for row in transfer.targets.filter(status=TargetStatus.FAILED, cleaned=False):
        if object_removal.delete(row.store, row.key, breaker, abandoned=True):
            TransferTarget.objects.filter(pk=row.pk).update(cleaned=True)
