"""Images as the database has them now."""

from __future__ import annotations

from images.models import Image


def current(image: Image) -> Image:
    return Image.objects.get(pk=image.pk)


def status(image: Image) -> str:
    found: str = current(image).status
    return found
