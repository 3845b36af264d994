"""Verification of a copy of an image's data: the copy is read and compared, and the result saved."""

from __future__ import annotations

import logging
from typing import NamedTuple

from django.conf import settings

from images import errors, lifecycle, stores
from images.access import Caller
from images.lifecycle.location_preparation import trusts_owners
from images.models import ImageLocation, LocationStatus
from images.models.location import MISSING
from images.operations import consistency, repair
from images.operations.consistency import Copy, Through

log = logging.getLogger(__name__)


class Result(NamedTuple):
    """The result of a verification: the damage, and whether the data could be compared.

    ``damage`` is empty for a copy without damage. ``is_compared`` is False if no digest of the
    image's data is known: then only the size was compared.
    """

    damage: str
    is_compared: bool


def verify(copy: Copy, through: Through, actor: Caller) -> Result | None:
    """Read a copy, compare it with the size and digests of its image, and save the result.

    The blocks pass ``through``, which can report progress or limit the rate. Data at a URL that
    was never read is inspected, and its digests are saved. Returns None, and saves nothing, if the
    copy is damaged but the image does not need it any more. If IMAGECATALOG_REPAIR is on, a
    new copy is requested in place of a damaged one. Raises StoreError or Invalid if the copy cannot
    be read: then it is unknown whether it is damaged.
    """
    facts = None
    try:
        if _is_unread(copy):
            found, facts = consistency.examine(copy, through)
        else:
            found = consistency.damage(copy, through)
    except errors.DataMissing:
        found = MISSING, "the store does not have its data"
    if found and not copy.is_needed():
        return None
    is_compared = bool(copy.digests)
    if facts:
        is_compared = repair.note_digests(copy.location, facts, actor)
    damage = ": ".join(found) if found else ""
    repair.note_verified(copy.location, damage, actor)
    if damage and settings.IMAGECATALOG_REPAIR:
        _request_repair(copy, actor)
    return Result(damage, is_compared)


def _request_repair(copy: Copy, actor: Caller) -> None:
    """Queue a new copy in place of a damaged one, if another copy is not known to be damaged.

    A refusal, for example because the store is read-only, is logged.
    """
    others = ImageLocation.objects.filter(
        image=copy.image_id, status=LocationStatus.ACTIVE, damage=""
    )
    if not others.exists():
        return
    try:
        lifecycle.request_image_copy(copy.image_id, copy.store, actor)
    except errors.ImageError as error:
        log.warning(
            "the damaged copy of image %s in store %s is not repaired: %s",
            copy.image_id,
            copy.store,
            error,
        )


def _is_unread(copy: Copy) -> bool:
    """Return whether a copy is at a URL and its data was never read.

    Always false if the service trusts owners' claims about data at URLs.
    """
    is_at_url = copy.store == stores.HTTP.id
    return is_at_url and not copy.digests and not trusts_owners()
