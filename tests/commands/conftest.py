"""What the tests of commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from images import lifecycle
from images.access import Caller
from images.models import Image


@pytest.fixture
def trashed(make_image: Any, member: Caller) -> Callable[..., Image]:
    """``trashed(days_ago=2, name="…")``: an image of four bytes that was deleted then."""

    def make(days_ago: float = 0, **fields: Any) -> Image:
        image: Image = make_image("active", data=b"four", **fields)
        lifecycle.delete(image.pk, member)
        at = timezone.now() - timedelta(days=days_ago)
        Image.objects.filter(pk=image.pk).update(deleted_at=at)
        return image

    return make
