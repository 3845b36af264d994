"""python-glanceclient's client of API v1, unchanged: it percent-encodes all that it sends."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import glanceclient
import pytest
from glanceclient import exc
from keystoneauth1.http_basic import HTTPBasicAuth
from keystoneauth1.session import Session

from tests import servers
from tests.servers import Service
from tests.web import allow, serving_new
from tests.wire.clients import Clients
from tests.wire.conftest import Start

DATA = os.urandom((3 << 20) + 7)
RAW = {"disk_format": "raw", "container_format": "bare"}


def signed_in(service: Service, user: tuple[str, str]) -> Any:
    auth = HTTPBasicAuth(username=user[0], password=user[1])
    session = Session(auth=auth)
    return glanceclient.Client("1", session=session, endpoint_override=service.url)


@pytest.fixture
def client(catalogue: Service) -> Any:
    return signed_in(catalogue, catalogue.auth)


def download(client: Any, image: Any) -> bytes:
    return b"".join(client.images.data(image))  # compares the checksum


def test_an_image_is_created_with_its_data_and_comes_back(client: Any) -> None:
    image = client.images.create(
        name="Ünïcode & more: 100% = 1/1",
        data=io.BytesIO(DATA),
        min_ram=512,
        is_public=True,
        properties={"os distro": "Débian", "kernel_id": "a%20b"},
        **RAW,
    )

    assert (image.status, image.size) == ("active", len(DATA))
    assert image.name == "Ünïcode & more: 100% = 1/1"
    assert image.properties == {"os distro": "Débian", "kernel_id": "a%20b"}
    assert (image.is_public, image.min_ram) == (True, 512)
    assert download(client, image) == DATA
    shown = client.images.get(image.id)
    assert (shown.status, shown.size, shown.is_public) == ("active", len(DATA), True)


def test_an_image_is_reserved_and_filled_later(client: Any) -> None:
    image = client.images.create(name="later", **RAW)
    assert (image.status, image.size) == ("queued", 0)

    client.images.update(image, data=io.BytesIO(DATA))

    assert client.images.get(image.id).status == "active"
    assert download(client, image) == DATA
    with pytest.raises(exc.HTTPConflict):
        client.images.update(image, data=io.BytesIO(b"other"))


def test_an_image_is_described_anew(client: Any) -> None:
    image = client.images.create(name="old", properties={"a": "1", "b": "2"}, **RAW)

    kept = client.images.update(image, name="new", properties={"b": "3"})
    assert (kept.name, kept.properties) == ("new", {"a": "1", "b": "3"})

    purged = client.images.update(image, properties={"c": "4"}, purge_props=True)
    assert purged.properties == {"c": "4"}


def test_images_are_listed_filtered_and_paged(client: Any) -> None:
    name = uuid4().hex
    for number in range(5):
        properties = {"number": str(number)}
        client.images.create(name=name, properties=properties, size=number, **RAW)

    def sizes(**filters: Any) -> list[int]:
        found = client.images.list(
            filters={"name": name, **filters}, page_size=2, is_public=None
        )
        return [image.size for image in found]

    assert sizes() == [4, 3, 2, 1, 0]
    assert sizes(status="active") == [0]
    assert sizes(size_min=2, size_max=3) == [3, 2]
    assert sizes(properties={"number": "4"}) == [4]
    some = client.images.list(filters={"name": name}, limit=3, owner="")
    assert list(some) == []
    assert client.images.find(name=name, size=3).properties == {"number": "3"}


def test_an_image_is_deleted_and_a_protected_one_not(client: Any) -> None:
    image = client.images.create(protected=True, **RAW)

    with pytest.raises(exc.HTTPForbidden):
        client.images.delete(image)
    client.images.update(image, protected=False)
    client.images.delete(image)

    with pytest.raises(exc.HTTPNotFound):
        client.images.delete(image)


def test_wrong_data_kills(client: Any) -> None:
    image_id = str(uuid4())

    with pytest.raises(exc.HTTPBadRequest):
        client.images.create(
            id=image_id, data=io.BytesIO(DATA), checksum="0" * 32, **RAW
        )

    assert client.images.get(image_id).status == "killed"
    client.images.delete(image_id)


def test_images_are_shared(
    catalogue: Service, client: Any, member: tuple[str, str]
) -> None:
    guest = signed_in(catalogue, member)
    project = guest.images.create(**RAW).owner
    image = client.images.create(data=io.BytesIO(DATA), **RAW)
    with pytest.raises(exc.HTTPNotFound):
        guest.images.get(image.id)

    client.image_members.create(image, project, can_share=True)

    assert download(guest, image) == DATA
    assert image.id in [it.id for it in guest.images.list()]
    assert [it.member_id for it in client.image_members.list(image=image)] == [project]
    (shared,) = guest.image_members.list(member=project)
    assert (shared.image_id, shared.can_share) == (image.id, True)
    client.image_members.delete(image.id, project)
    assert client.image_members.list(image=image) == []


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    with serving_new(tmp_path / "web", {"an image": DATA}) as url:
        yield url


def test_an_image_is_copied_from_the_web_or_left_there(web: str, start: Start) -> None:
    with start(**allow(web)) as evidence:
        client = signed_in(evidence.service, evidence.service.auth)
        source = f"{web}/an%20image?with=a&query"

        located = client.images.create(location=source, **RAW)
        copied = client.images.create(copy_from=source, **RAW)

        assert (located.status, located.size) == ("active", len(DATA))
        assert (copied.status, copied.size) == ("queued", len(DATA))
        evidence.wait_for(copied.id, "active")
        assert download(client, copied) == download(client, located) == DATA


def test_the_command_works(clients: Clients, tmp_path: Path, terminal: int) -> None:
    key = {"IMAGECATALOG_STATIC_KEYS": "admin:a-key-for-the-command"}
    sent, saved = tmp_path / "sent", tmp_path / "saved"
    sent.write_bytes(DATA)
    with servers.catalogue(tmp_path, key) as service:

        def glance(*words: str) -> str:
            options = ["--os-image-api-version", "1", "--os-image-url", service.url]
            options += ["--os-auth-token", "a-key-for-the-command"]
            stdin = os.ttyname(terminal)
            done = clients.run("glance", *options, *words, env=os.environ, stdin=stdin)
            assert done.returncode == 0, done.stderr
            return done.stdout

        formats = ("--disk-format", "raw", "--container-format", "bare")
        glance("image-create", "--name", "disk", *formats, "--file", str(sent))
        assert "active" in glance("image-list", "--all-tenants")
        glance("image-update", "disk", "--name", "other", "--property", "os=linux")
        assert "linux" in glance("image-show", "other")
        glance("image-download", "other", "--file", str(saved))
        glance("image-delete", "other")
        assert "other" not in glance("image-list", "--all-tenants")

    assert saved.read_bytes() == DATA
