"""The history of images: an event is written for every change, in the same transaction."""

from __future__ import annotations

from typing import Any

from images.access import Caller
from images.models import Event, Image


def record(
    image: Image,
    verb: str,
    actor: Caller,
    *,
    before: str,
    reason: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """Write an event into the image's history, in the current transaction.

    ``before`` is the image's status before the change; its status now is recorded as the new
    one. ``verb`` names the change, such as ``update``; ``detail`` has its values.
    """
    Event.objects.create(
        image=image,
        verb=verb,
        from_status=before,
        to_status=image.status,
        actor=actor.user,
        project=actor.project or "",
        interface=actor.interface,
        request_id=actor.request_id,
        reason=reason,
        detail=detail or {},
    )
