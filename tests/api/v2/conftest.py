"""Images for the tests of imports: without data, and with staged data."""

from __future__ import annotations

import pytest

from images import lifecycle, uploads
from images.access import Caller
from images.models import Image

DATA = bytes(range(250)) * 4
RAW = {"disk_format": "raw", "container_format": "bare"}


@pytest.fixture
def queued(db: None, member: Caller) -> Image:
    return lifecycle.create(RAW | {"owner": member.project}, {}, [], member)


@pytest.fixture
def staged(queued: Image, member: Caller) -> Image:
    uploads.stage(queued.pk, [DATA], member)
    return queued
