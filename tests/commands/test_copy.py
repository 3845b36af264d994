from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from images.models import Transfer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_stores(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES = (
        f"local=file://{tmp_path}/images,far=file://{tmp_path}/far"
    )


def test_copies_are_requested(make_image: Any) -> None:
    ids, out = [make_image("active").pk for _ in range(2)], StringIO()

    call_command("image_copy", *ids, "--to", "far", stdout=out)

    assert out.getvalue().splitlines() == [f"{pk}: requested" for pk in ids]
    assert set(Transfer.objects.values_list("image_id", "status", "store")) == {
        (pk, "waiting", "far") for pk in ids
    }


def test_what_cannot_be_copied_is_named_and_the_rest_requested(make_image: Any) -> None:
    queued, active = make_image().pk, make_image("active").pk
    out, err = StringIO(), StringIO()

    with pytest.raises(CommandError):
        call_command(
            "image_copy", queued, active, "--to", "far", stdout=out, stderr=err
        )

    assert out.getvalue() == f"{active}: requested\n"
    assert err.getvalue().startswith(f"{queued}: Only an active image")
