"""openstacksdk, unchanged: it uploads chunked, and verifies what it downloads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import openstack
import pytest
from openstack import exceptions

from tests.servers import Service
from tests.wire.evidence import Evidence

DATA = os.urandom((5 << 20) + 7)
RAW = {"disk_format": "raw", "container_format": "bare"}

# About what the client does inside.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@contextmanager
def signed_in(service: Service, user: tuple[str, str]) -> Iterator[Any]:
    """The SDK's image proxy."""
    connection = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type="http_basic",
        auth={
            "username": user[0],
            "password": user[1],
            "endpoint": f"{service.url}/v2",
        },
    )
    with connection:
        yield connection.image


@pytest.fixture
def sdk(catalogue: Service) -> Iterator[Any]:
    with signed_in(catalogue, catalogue.auth) as images:
        yield images


def create(sdk: Any, **attributes: Any) -> Any:
    """An image whose checksums the client compares.

    Under a name of its own: the client does not send again what it has sent by that name.
    """
    sha256 = hashlib.sha256(DATA).hexdigest()
    md5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    return sdk.create_image(
        uuid4().hex,
        data=DATA,
        md5=md5,
        sha256=sha256,
        validate_checksum=True,
        wait=True,
        **RAW,
        **attributes,
    )


def download(sdk: Any, image: Any, path: Path) -> bytes:
    sdk.download_image(image, stream=True, output=str(path))
    return path.read_bytes()


def test_what_is_sent_comes_back_verified(sdk: Any, tmp_path: Path) -> None:
    image = create(sdk)

    assert (image.status, image.size) == ("active", len(DATA))
    assert image.hash_value == hashlib.sha512(DATA).hexdigest()
    assert download(sdk, image, tmp_path / "saved") == DATA


def test_a_stream_of_unknown_length_is_sent_in_chunks(sdk: Any) -> None:
    image = sdk.create_image("a stream", data=iter([DATA, DATA]), **RAW)

    shown = sdk.get_image(image)
    assert (shown.status, shown.size) == ("active", 2 * len(DATA))
    assert shown.hash_value == hashlib.sha512(DATA + DATA).hexdigest()


def test_a_file_is_sent_from_disk(sdk: Any, tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(DATA)

    with path.open("rb") as file:
        image = sdk.create_image("a file", data=file, **RAW)

    assert sdk.get_image(image).hash_value == hashlib.sha512(DATA).hexdigest()


def test_an_image_is_described_and_found(sdk: Any) -> None:
    image = create(sdk, min_ram=512)
    sdk.update_image(image.id, kernel="6.12", min_disk=3)
    sdk.add_tag(image, "blue")
    sdk.add_tag(image, "dropped")
    sdk.remove_tag(image, "dropped")

    shown = sdk.get_image(image.id)
    assert (shown.min_ram, shown.min_disk, shown.tags) == (512, 3, ["blue"])
    assert shown.properties["kernel"] == "6.12"
    assert image.id in [found.id for found in sdk.images(tag="blue")]
    assert image.id in [found.id for found in sdk.images(status="active", limit=1)]


def test_the_data_of_a_deactivated_image_is_withheld(
    catalogue: Service, sdk: Any, member: tuple[str, str], tmp_path: Path
) -> None:
    image = create(sdk, visibility="public")
    with signed_in(catalogue, member) as guest:
        sdk.deactivate_image(image)
        assert guest.get_image(image.id).status == "deactivated"
        with pytest.raises(exceptions.SDKException, match="checksum mismatch"):
            download(guest, image, tmp_path / "refused")

        sdk.reactivate_image(image)
        assert download(guest, image, tmp_path / "given") == DATA


def test_a_deleted_image_is_restored_and_deleted_for_good(
    catalogue: Service, sdk: Any, evidence: Evidence, tmp_path: Path
) -> None:
    image = create(sdk, kernel="6.12", tags=["green"])
    sdk.delete_image(image)
    assert evidence.status(image.id) == "pending_delete"
    assert sdk.find_image(image.id) is None

    catalogue.manage("image_restore", image.id)
    restored = sdk.get_image(image.id)
    assert (restored.tags, restored.properties["kernel"]) == (["green"], "6.12")
    assert download(sdk, restored, tmp_path / "saved") == DATA

    sdk.delete_image(image)
    at_once = catalogue.env | {"IMAGECATALOG_SCRUB_TIME": "0"}
    replace(catalogue, env=at_once).manage("image_scrub")
    assert evidence.status(image.id) == "deleted"
    assert evidence.files(image.id) == []


def test_a_second_upload_is_a_conflict(sdk: Any) -> None:
    image = create(sdk)
    image.data = b"other bytes"

    assert image.upload(sdk).status_code == 409


def test_an_image_is_shared_with_a_project_that_accepts_it(
    catalogue: Service, sdk: Any, member: tuple[str, str], tmp_path: Path
) -> None:
    image = create(sdk, visibility="shared")
    with signed_in(catalogue, member) as guest:
        project = guest.create_image("mine", data=b"", wait=True, **RAW).owner
        sdk.add_member(image.id, member_id=project)
        assert download(guest, image, tmp_path / "saved") == DATA
        assert image.id not in [it.id for it in guest.images()]

        guest.update_member(project, image.id, status="accepted")
        assert image.id in [it.id for it in guest.images()]
        assert [it.status for it in sdk.members(image.id)] == ["accepted"]

        sdk.remove_member(project, image.id)
        assert guest.find_image(image.id) is None
        assert list(sdk.members(image.id)) == []
