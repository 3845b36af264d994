"""Digests that are added to an image later, because it became active before its data was read."""

from __future__ import annotations

from images.access import Caller
from images.events import record
from images.lifecycle.checked_data import (
    DATA_COLUMNS,
    Criteria,
    DataFacts,
    set_facts,
)
from images.models import READABLE_STATUSES, Image, LocationStatus
from images.transitions import save


def note(image: Image, location_id: int, facts: DataFacts, actor: Caller) -> bool:
    """Save the digests of a locked image that has one copy and no digests; record an event.

    ``facts`` are the size and digests of the data at the location ``location_id``. Returns True
    if they are saved, and False, without a change, if the image has changed since its data was
    read.
    """
    copies = image.locations.filter(status=LocationStatus.ACTIVE)
    if (
        image.status not in READABLE_STATUSES
        or image.checksum
        or facts.criteria != Criteria.of(image)
        or [copy.pk for copy in copies] != [location_id]
    ):
        return False
    set_facts(image, facts)
    save(image, *DATA_COLUMNS)
    detail = {"location": location_id, "checksum": [None, facts.checksum]}
    record(image, "verify", actor, before=image.status, detail=detail)
    return True
