"""The reaper: ends dead transfers and removes their orphaned objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from django.utils import timezone

from images import errors
from images.access import Caller, operator
from images.duty import Duty
from images.failpoints import failpoint
from images.models import (
    Transfer,
    TransferKind,
    TransferStatus,
    UploadChunk,
)
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import chunks, object_removal, sources, targets
from images.transfers.heartbeat import is_silent
from images.transfers.leases import abort, clean
from images.transfers.workers import is_dead

DeadTransfer = tuple[Transfer, errors.LeaseExpired]  # with the reason


def dead_transfers() -> list[DeadTransfer]:
    """Return the running transfers that are considered dead, each with the reason.

    A transfer is dead if it has had no heartbeat for IMAGECATALOG_LEASE_SECONDS, has passed its
    deadline, or belongs to a process of this machine that has ended. For a transfer that can
    pause only the deadline counts.
    """
    running = Transfer.objects.filter(status=TransferStatus.RUNNING)
    reasons = [(transfer, _why_dead(transfer)) for transfer in running]
    return [(transfer, errors.LeaseExpired(why)) for transfer, why in reasons if why]


def _why_dead(transfer: Transfer) -> str:
    late = _is_late(transfer)
    if transfer.can_pause and not late:
        return ""
    if transfer.can_pause:
        in_vain = "imported" if transfer.import_method else "resumed"
        return f"The upload was not {in_vain} in time."
    if is_dead(transfer.worker):
        return "The process that received the data died."
    if is_silent(transfer):
        return "The transfer sent no heartbeat for too long."
    return "The transfer took longer than is allowed." if late else ""


def _is_late(transfer: Transfer) -> bool:
    return transfer.deadline is not None and transfer.deadline < timezone.now()


def end_dead_transfers(
    actor: Caller | None = None,
    through: Callable[[list[DeadTransfer]], Iterable[DeadTransfer]] = iter,
) -> list[Transfer]:
    """Mark the dead transfers as failed and return them; their images are queued or killed.

    No store is asked: ``remove_orphaned_objects`` removes the data of these transfers.
    ``through`` gets the list of dead transfers and yields each of them; it can report progress.
    """
    actor = actor or operator("worker")
    sources.erase_left()
    ended = []
    for transfer, reason in through(dead_transfers()):
        failpoint("reap.found")
        # A transfer past its deadline is ended even if it sends heartbeats. But a resumable
        # upload that was resumed since the row was read has a new deadline.
        if_unchanged = not _is_late(transfer) or transfer.kind == TransferKind.STAGE
        if abort(transfer, reason, actor, if_unchanged=if_unchanged):
            ended.append(transfer)
    return ended


def unclean_count() -> int:
    """Return the number of transfers with partial data in a store that is not removed yet."""
    found = Transfer.objects.unclean().count()
    return found + Transfer.objects.partly_unclean().count()


def remove_orphaned_objects(
    breaker: CircuitBreaker,
    through: Callable[[Iterable[Transfer]], Iterable[Transfer]] = iter,
) -> None:
    """Remove the data of failed transfers, and unneeded upload chunks, from the stores.

    Also removes partial data from the target stores that have failed in a successful transfer.
    The circuit breaker ``breaker`` counts failures; stores that it reports as unavailable are
    not asked. ``through`` gets the transfers and yields each of them; it can report progress.
    """
    stuck = object_removal.stuck()
    unneeded = object_removal.fresh(chunks.unneeded(), breaker, "transfer__store")
    chunks.remove_each(unneeded, breaker, abandoned=True)
    unclean = object_removal.fresh(Transfer.objects.unclean(), breaker)
    partly = object_removal.fresh(Transfer.objects.partly_unclean(), breaker)
    for transfer in through(chain(unclean, partly)):
        _clean_if_abandoned(transfer, breaker)
    for row in object_removal.remembering(stuck, breaker):
        if isinstance(row, Transfer):
            _clean_if_abandoned(row, breaker)
        elif isinstance(row, UploadChunk):
            chunks.remove_each([row], breaker, abandoned=True)


def _clean_if_abandoned(transfer: Transfer, breaker: CircuitBreaker) -> None:
    # A live writer removes its own data and has one lease period for it after the end of the
    # transfer. In a resumable upload only the arriving chunk has a writer; `clean` leaves that
    # chunk to the writer.
    if transfer.status == TransferStatus.DONE:
        targets.remove_failed(transfer, breaker)
    elif transfer.kind == TransferKind.STAGE or is_silent(transfer):
        clean(transfer, breaker, abandoned=True)


def reap(actor: Caller | None = None) -> list[Transfer]:
    """End dead transfers as failed, and remove all orphaned objects; return the ended transfers."""
    ended = end_dead_transfers(actor)
    remove_orphaned_objects(CircuitBreaker())
    return ended


DUTIES = (Duty("end dead transfers", end_dead_transfers),)
