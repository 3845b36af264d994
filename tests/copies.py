"""What waits for the background worker, for tests that are the worker."""

from __future__ import annotations

from uuid import UUID

from images.models import Transfer, TransferStatus


def waiting_copies() -> list[UUID]:
    """The copies that nobody fetches yet, oldest first."""
    waiting = Transfer.objects.filter(status=TransferStatus.WAITING)
    return list(waiting.order_by("started_at").values_list("pk", flat=True))
