"""A cache on, and images in a real S3 server."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from images import lifecycle
from images.models import Image
from tests.servers import S3

MIB = 1 << 20


@pytest.fixture
def cache_dir(settings: Any, tmp_path: Path) -> Path:
    """The folder of the cache, which does not exist yet."""
    settings.IMAGECATALOG_CACHE_DIR = str(tmp_path / "parent" / "cache")
    settings.IMAGECATALOG_CACHE_MAX_SIZE = 10 * MIB
    return tmp_path / "parent" / "cache"


@pytest.fixture
def bucket(settings: Any, s3: S3) -> Path:
    """The folder in which the S3 server keeps the objects of the only store."""
    prefix = uuid4().hex
    settings.IMAGECATALOG_STORES = s3.store("remote", prefix)
    return s3.folder / prefix


@pytest.fixture
def remote(
    cache_dir: Path, bucket: Path, make_image: Callable[..., Image]
) -> Callable[..., Image]:
    """``remote(3 * MIB)``: an active image of so many bytes in the S3 server, not cached."""

    def make(size: int = 100, **fields: Any) -> Image:
        return make_image("active", data=os.urandom(size), **fields)

    return make


def download(image: Image) -> bytes:
    """All data, read as a response reads it."""
    blocks = lifecycle.read(image.pk, 0, image.size)
    try:
        return b"".join(blocks)
    finally:
        blocks.close()
