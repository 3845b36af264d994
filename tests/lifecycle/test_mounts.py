"""A store whose folder is not mounted: nothing is written below the mount point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from images import errors, lifecycle, stores, uploads
from images.access import Caller
from images.models import Image
from images.stores.local import MARKER

pytestmark = pytest.mark.django_db


@pytest.fixture
def unmounted(data_dir: Path, make_image: Any) -> Path:
    """The folder of a store that has data, without its disk."""
    make_image("active")
    folder = data_dir / "images"
    folder.rename(data_dir / "disk")
    folder.mkdir()
    return folder


def test_an_upload_is_refused_and_writes_nothing(
    unmounted: Path, make_image: Any, member: Caller
) -> None:
    image = make_image()

    with pytest.raises(errors.StoreError, match="Is it mounted"):
        lifecycle.upload(image.pk, [b"data"], member)

    assert list(unmounted.iterdir()) == []
    assert Image.objects.get(pk=image.pk).status == "queued"


def test_a_chunk_is_refused_when_the_disk_went_away_meanwhile(
    data_dir: Path, make_image: Any, member: Caller
) -> None:
    make_image("active")
    image = make_image()
    upload = uploads.begin(image.pk, 8, member)
    (data_dir / "images").rename(data_dir / "disk")
    (data_dir / "images").mkdir()

    with pytest.raises(errors.StoreError, match="Is it mounted"):
        uploads.append(image.pk, str(upload.pk), 0, [b"data"], member)

    assert list((data_dir / "images").iterdir()) == []


def test_the_first_upload_of_a_catalogue_makes_its_store(
    settings: Any, tmp_path: Path, make_image: Any, member: Caller
) -> None:
    settings.IMAGECATALOG_STORES = f"local=file://{tmp_path}/new"
    image = make_image(disk_format="qcow2")

    with pytest.raises(errors.ContentRefused):
        lifecycle.upload(image.pk, [b"x" * 1000], member)

    assert (tmp_path / "new" / MARKER).exists()
    assert image.transfers.get().cleaned
    assert list(stores.default().keys()) == []
