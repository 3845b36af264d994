"""Taking away a copy, for tests that move images without looking at them."""

from __future__ import annotations

from images import lifecycle
from images.access import Caller
from images.models import ImageLocation, LocationStatus


def remove_first(image_id: str, actor: Caller) -> None:
    """Remove the oldest copy; of an image that has none, a copy that is not there."""
    held = ImageLocation.objects.filter(image=image_id, status=LocationStatus.ACTIVE)
    first = held.order_by("pk").first()
    lifecycle.remove_location(image_id, first.pk if first else 0, actor)
