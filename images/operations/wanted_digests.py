"""Digests that were not computed when an image's data arrived, but that clients ask for later.

The background worker computes them. It tries once for each request: if the data cannot be read, the
next request has to ask again.
"""

from __future__ import annotations

import logging
from collections.abc import Set
from typing import Final

from django.utils import timezone

from images import errors
from images.access import operator
from images.duty import Duty
from images.events import record
from images.expected_digests import ALGORITHMS
from images.models import READABLE_STATUSES, Image
from images.operations import consistency, repair
from images.operations.consistency import Copy
from images.stores.digests import Digests, digesting
from images.transitions import locked

log = logging.getLogger(__name__)

PERIOD: Final = 5.0  # seconds
BATCH: Final = 100
RATE: Final = (
    50_000_000.0  # bytes per second; leaves the store to uploads and downloads
)


def ask(image_id: str) -> None:
    """Request that the background worker computes the digests of an image that are not known.

    The request is saved in the image's row. One query if it is saved already, else two.
    """
    unasked = Image.objects.filter(
        pk=image_id, digests_wanted_at=None, status__in=READABLE_STATUSES
    )
    # First: on SQLite an update waits for other writers, even if it changes no row.
    if unasked.exists():
        unasked.update(digests_wanted_at=timezone.now())


def compute() -> None:
    """Compute the digests that clients have asked for, of at most 100 images; oldest request first."""
    wanted = Image.objects.filter(digests_wanted_at__isnull=False)
    for image in list(wanted.order_by("digests_wanted_at")[:BATCH]):
        asked = wanted.filter(pk=image.pk, digests_wanted_at=image.digests_wanted_at)
        if asked.update(digests_wanted_at=None):  # else another worker does it
            _compute(image.pk)


def _compute(image_id: str) -> None:
    image = Image.objects.filter(pk=image_id).first()
    if image is None:
        return  # purged meanwhile
    # All algorithms in one pass: reading the data takes longest.
    missing = {*ALGORITHMS} - {*image.digests, image.os_hash_algo}
    if not missing:
        return
    copies = consistency.to_verify(timezone.now(), [image_id])
    for copy in consistency.in_verification_order(copies.filter(damage="")):
        if not copy.digests:
            return  # without a digest it is unknown whether this is the image's data
        try:
            if _verify(copy, missing):
                return
        except errors.ImageError as error:
            log.warning("no digests of image %s", image_id, exc_info=error)


def _verify(copy: Copy, missing: Set[str]) -> bool:
    """Verify a copy of an image's data; if it is intact, save the image's digests ``missing``.

    Returns whether the copy is intact. Raises StoreError if it cannot be read.
    """
    with Digests(*missing) as digests:
        damage = consistency.damage(
            copy,
            lambda blocks: digesting(consistency.rate_limited(blocks, RATE), digests),
        )
        computed = digests.hexdigests()
    if damage:
        if copy.is_needed():
            repair.note_verified(copy.location, ": ".join(damage), operator("worker"))
        return False
    repair.note_verified(copy.location, "", operator("worker"))
    _save(copy, computed)
    return True


def _save(copy: Copy, computed: dict[str, str]) -> None:
    with locked(copy.image_id, deleted=True) as image:
        if image.status not in READABLE_STATUSES:
            return
        image.digests = {**image.digests, **computed}
        image.save(update_fields=["digests"])
        changes = {name: [None, digest] for name, digest in computed.items()}
        detail = {"location": copy.location, **changes}
        record(image, "verify", operator("worker"), before=image.status, detail=detail)


DUTIES = (Duty("compute digests", compute, PERIOD, may_block=True),)
