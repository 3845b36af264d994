"""`check` and `serve` look for stores that images need."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.test import Client

from images.management.commands import serve
from images.models import ImageLocation


@pytest.fixture
def image_elsewhere(make_image: Any) -> Any:
    """An image whose only copy is in a store that is not configured."""
    image = make_image("active")
    ImageLocation.objects.filter(image=image).update(store="cold")
    return image


def test_a_missing_store_is_warned_of_with_its_number_of_images(
    image_elsewhere: Any, make_image: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("active")

    call_command("check")
    assert "not configured: 'cold' (1 image)." in capsys.readouterr().err
    with pytest.raises(SystemCheckError):
        call_command("check", fail_level="WARNING")


def test_nothing_is_said_while_all_stores_are_configured(
    make_image: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("active")

    call_command("check", fail_level="WARNING")

    assert "stores" not in capsys.readouterr().err


def test_serve_refuses_to_start_without_a_store_that_images_need(
    image_elsewhere: Any,
) -> None:
    with pytest.raises(CommandError, match=r"'cold' \(1 image\).*allow-missing-stores"):
        serve._refuse_missing_stores()


@pytest.mark.parametrize("path", ["/v2/images/{}/file", "/v1/images/{}"])
def test_data_in_a_missing_store_is_unavailable_and_not_empty(
    path: str, image_elsewhere: Any, client_of: Any, member: Any
) -> None:
    client: Client = client_of(member)

    response = client.get(path.format(image_elsewhere.pk))

    assert response.status_code == 503
    assert "not configured" in response.content.decode()


def test_a_missing_store_counts_more_than_a_missing_object(
    image_elsewhere: Any, client_of: Any, member: Any
) -> None:
    lost = {"image": image_elsewhere, "store": "local", "key": "ab/lost"}
    ImageLocation.objects.create(**lost)

    response = client_of(member).get(f"/v2/images/{image_elsewhere.pk}/file")

    assert response.status_code == 503
