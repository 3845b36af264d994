"""What waits for the background worker, for tests that are the worker."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from images import errors
from images.imports import queue
from images.models import Transfer, TransferStatus


def waiting_copies() -> list[UUID]:
    """The copies that nobody fetches yet, oldest first."""
    waiting = Transfer.objects.filter(status=TransferStatus.WAITING)
    return list(waiting.order_by("started_at").values_list("pk", flat=True))


def work() -> None:
    """Carry out what waits, as the background worker does: failures are left to the images."""
    for transfer_id in waiting_copies():
        with suppress(errors.ImageError):
            queue.carry_out(transfer_id)
