"""What ends transfers whose worker has died, and removes the objects that they left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.utils import timezone

from images import errors
from images.access import Caller, operator
from images.duties import Duty
from images.failpoints import failpoint
from images.models import (
    Transfer,
    TransferKind,
    TransferStatus,
)
from images.transfers import chunks, object_removal
from images.transfers.heartbeat import is_silent
from images.transfers.leases import abort, clean
from images.transfers.object_removal import Failures
from images.transfers.workers import is_dead

Expired = tuple[Transfer, errors.LeaseExpired]  # with the reason


def expired() -> list[Expired]:
    """The running transfers that are dead, each with the reason.

    Dead is what has had no heartbeat for IMAGECATALOG_LEASE_SECONDS, is beyond its deadline,
    or belongs to a process of this machine that is gone. A staged upload may pause: of it
    only the deadline counts.
    """
    running = Transfer.objects.filter(status=TransferStatus.RUNNING)
    found = [(transfer, _why_dead(transfer)) for transfer in running]
    return [(transfer, errors.LeaseExpired(why)) for transfer, why in found if why]


def _why_dead(transfer: Transfer) -> str:
    late = _is_late(transfer)
    if transfer.kind == TransferKind.STAGE:
        return "The upload was not continued in time." if late else ""
    if is_dead(transfer.worker):
        return "The process that received the data died."
    if is_silent(transfer):
        return "Nothing was heard of the transfer for too long."
    return "The transfer took longer than transfers may take." if late else ""


def _is_late(transfer: Transfer) -> bool:
    return transfer.deadline is not None and transfer.deadline < timezone.now()


def end_expired(
    actor: Caller | None = None,
    through: Callable[[list[Expired]], Iterable[Expired]] = iter,
) -> list[Transfer]:
    """End the transfers that are dead; their images return to their resting status.

    Returns what was ended. Their bytes stay, for ``remove_leftovers``: no store is asked.
    What is dead passes ``through`` on its way.
    """
    actor = actor or operator("worker")
    ended = []
    for transfer, reason in through(expired()):
        failpoint("reap.found")
        # What is late ends although it beats. But a staged upload that was continued since it
        # was looked at has a new deadline.
        careful = not _is_late(transfer) or transfer.kind == TransferKind.STAGE
        if abort(transfer, reason, actor, if_unchanged=careful):
            ended.append(transfer)
    return ended


def remove_orphaned_objects(
    failures: Failures,
    through: Callable[[Iterable[Transfer]], Iterable[Transfer]] = iter,
) -> None:
    """Remove the bytes that ended attempts have left in their stores.

    Stores that are away by their ``failures`` are not asked; new ones are counted. The attempts
    pass ``through`` on their way.
    """
    unclean = object_removal.in_batches(Transfer.objects.unclean(), failures)
    for transfer in through(unclean):
        # A live one cleans up behind itself, and may not have come to it yet: it has a lease
        # for it after its end. Of a staged upload only the chunk that is arriving has a writer,
        # and that one is left to him.
        if transfer.kind == TransferKind.STAGE or is_silent(transfer):
            clean(transfer, failures)
    chunks.remove_useless(failures)


def reap(actor: Caller | None = None) -> list[Transfer]:
    """``end_expired``, and then ``remove_leftovers``. Returns what was ended."""
    ended = end_expired(actor)
    remove_orphaned_objects(Failures())
    return ended


DUTIES = (Duty("end dead transfers", end_expired),)
