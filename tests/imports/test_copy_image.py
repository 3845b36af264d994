"""Copies to a further store, requested by any interface."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from images import errors, imports
from images.access import Caller
from images.imports import ImportRequest
from images.models import Image, Transfer

COPY = ImportRequest("copy-image", store_ids=("far",))


@pytest.fixture(autouse=True)
def two_stores(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES = (
        f"local=file://{tmp_path}/images,far=file://{tmp_path}/far"
    )


def test_the_rule_for_copies_holds_for_every_interface(
    make_image: Callable[..., Image], member: Caller, admin: Caller
) -> None:
    image = make_image("active")

    with pytest.raises(errors.Forbidden, match="copy_image"):
        imports.request_import(image.pk, COPY, member)
    assert not Transfer.objects.exists()

    imports.request_import(image.pk, COPY, admin)
    assert Transfer.objects.get().store == "far"
