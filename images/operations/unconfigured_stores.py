"""Stores that hold the data of images, but are not configured."""

from __future__ import annotations

from django.db.models import Min, QuerySet

from images import stores
from images.models import ImageLocation, LocationStatus


def images_by_store() -> dict[str, int]:
    """Return the number of images in each store that is not configured: store id -> number."""
    configured = {store.id for store in stores.configured()} | {stores.HTTP.id}
    return {
        store: _active().filter(store=store).values("image").distinct().count()
        for store in _stores_in_use()
        if store not in configured
    }


def summary(images: dict[str, int]) -> str:
    """Return the numbers of images by store as text: ``'cold' (2 images), 'old' (1 image)``."""
    return ", ".join(
        f"{store!r} ({number} image{'s'[: number > 1]})"
        for store, number in sorted(images.items())
    )


def _stores_in_use() -> list[str]:
    """Return the ids of all stores that have the data of images. One query for each store."""
    found: list[str] = []
    rows = _active()
    while store := rows.aggregate(first=Min("store"))["first"]:
        found.append(store)
        rows = _active().filter(store__gt=store)
    return found


def _active() -> QuerySet[ImageLocation]:
    return ImageLocation.objects.filter(status=LocationStatus.ACTIVE)
