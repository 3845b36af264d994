"""Taking a copy away, or its data."""

from __future__ import annotations

from images import lifecycle, stores
from images.access import Caller
from images.models import ImageLocation, LocationStatus


def remove_first(image_id: str, actor: Caller) -> None:
    """Remove the oldest copy; of an image that has none, a copy that is not there."""
    held = ImageLocation.objects.filter(image=image_id, status=LocationStatus.ACTIVE)
    first = held.order_by("pk").first()
    lifecycle.remove_location(image_id, first.pk if first else 0, actor)


def overwrite(location: ImageLocation, data: bytes) -> None:
    """Replace the stored data of a copy, as damage does."""
    store = stores.get(location.store)
    store.delete(location.key)
    store.put(location.key, [data])
