"""Withhold an image's data, and give it out again."""

from __future__ import annotations

from images import errors
from images.access import Caller
from images.models import Status
from images.transitions import follow, locked


def deactivate(image_id: str, actor: Caller, reason: str = "") -> None:
    """Only admins can download it from now on; again is no error.

    Raises Forbidden in any status but active and deactivated, NotFound.
    """
    with locked(image_id) as image:
        if image.status != Status.DEACTIVATED:
            follow(
                image,
                image.mark_deactivated,
                "deactivate",
                actor,
                reason=reason,
                refusal=errors.Forbidden,
            )


def reactivate(image_id: str, actor: Caller, reason: str = "") -> None:
    """The data can be downloaded again; for an active image that is no error.

    Raises Forbidden in any status but active and deactivated, NotFound.
    """
    with locked(image_id) as image:
        if image.status != Status.ACTIVE:
            follow(
                image,
                image.mark_reactivated,
                "reactivate",
                actor,
                reason=reason,
                refusal=errors.Forbidden,
            )
