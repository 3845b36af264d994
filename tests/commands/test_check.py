"""`check` and `serve` look for stores that images need, and `check` for stores that do not answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.test import Client

from images.management.commands import serve
from images.models import ImageLocation
from tests import servers


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


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("bucket", "credential", "sentence"),
    [
        ("no-such-bucket", {}, "The bucket does not exist. Create the bucket"),
        ("", {"AWS_ACCESS_KEY_ID": "nobody"}, "Correct AWS_ACCESS_KEY_ID."),
        ("", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "Correct AWS_SECRET_ACCESS_KEY,"),
        (
            "",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "There are no credentials. Set the environment variables of the cloud, such as "
            "AWS_ACCESS_KEY_ID",
        ),
    ],
)
def test_an_object_store_that_cannot_be_used_is_an_error_with_what_to_do(
    bucket: str,
    credential: dict[str, str],
    sentence: str,
    s3: servers.S3,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in credential.items():
        monkeypatch.setenv(name, value)
    # A prefix of its own: the clients of stores are kept.
    url = s3.store("cold", prefix=f"check-{len(sentence)}")
    settings.IMAGECATALOG_STORES = url.replace(s3.bucket, bucket or s3.bucket)

    with pytest.raises(SystemCheckError) as caught:
        call_command("check")

    found = str(caught.value)
    assert "IMAGECATALOG_STORES: the store 'cold': " in found
    assert sentence in found
    assert "169.254" not in found


@pytest.mark.django_db
def test_an_object_store_that_answers_is_no_error(
    s3: servers.S3, settings: Any
) -> None:
    settings.IMAGECATALOG_STORES = s3.store(prefix="check")

    call_command("check", tags=["stores"], fail_level="WARNING")


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
