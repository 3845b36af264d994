"""Deactivate and reactivate images."""

from __future__ import annotations

from images import errors
from images.access import Caller
from images.lifecycle.steps import Step, no_step
from images.models import Status
from images.transitions import follow, locked


def deactivate(
    image_id: str, actor: Caller, reason: str = "", *, step: Step = no_step
) -> None:
    """Deactivate an image: only admins can download its data.

    No error if the image is deactivated already. The change is made in one transaction, within the
    context that ``step`` returns. Raises NotFound, and Forbidden in any status except active and
    deactivated.
    """
    with locked(image_id, actor) as image, step(image):
        if image.status != Status.DEACTIVATED:
            follow(
                image,
                image.mark_deactivated,
                "deactivate",
                actor,
                reason=reason,
                refusal=errors.Forbidden,
            )


def reactivate(
    image_id: str, actor: Caller, reason: str = "", *, step: Step = no_step
) -> None:
    """Reactivate an image: its data can be downloaded again.

    No error if the image is active already. The change is made in one transaction, within the
    context that ``step`` returns. Raises NotFound, and Forbidden in any status except active and
    deactivated.
    """
    with locked(image_id, actor) as image, step(image):
        if image.status != Status.ACTIVE:
            follow(
                image,
                image.mark_reactivated,
                "reactivate",
                actor,
                reason=reason,
                refusal=errors.Forbidden,
            )
