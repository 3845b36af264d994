"""Images of another region: of a second real service, asked for by the clients as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Service, wait_until
from tests.web import region
from tests.wire import test_openstack_client, test_several_stores
from tests.wire.api import Api
from tests.wire.clients import Clients
from tests.wire.conftest import Start
from tests.wire.evidence import Evidence

DATA = os.urandom((3 << 20) + 7)

FORMATS = ("--disk-format", "iso", "--container-format", "ova")

pytestmark = [
    pytest.mark.slow,
    # About what openstacksdk does inside.
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]


@pytest.fixture
def other(any_catalogue: Service) -> Iterator[Api]:
    """The service of the other region."""
    with Api(any_catalogue) as session:
        yield session


@pytest.fixture
def source(other: Api) -> Iterator[str]:
    """A public image there."""
    image = other.new(name="source", visibility="public", hw_disk_bus="scsi")
    assert other.upload(image, DATA).status_code == 204
    yield image
    other.delete(f"images/{image}")


@pytest.fixture
def env(any_catalogue: Service, tmp_path: Path) -> dict[str, str]:
    """The settings of a service that can import from the other region."""
    username, password = any_catalogue.auth
    file = tmp_path / "east.json"
    east = region("east", any_catalogue.url, file, username, password)
    keys = f"admin:{test_several_stores.KEY}"
    return {"IMAGECATALOG_REMOTES": east, "IMAGECATALOG_STATIC_KEYS": keys}


def assert_is_copy(evidence: Evidence, image: str) -> None:
    evidence.wait_for(image, "active")
    with Api(evidence.service) as api:
        shown = api.image(image)
        assert (shown["disk_format"], shown["container_format"]) == ("raw", "bare")
        assert shown["hw_disk_bus"] == "scsi"
        assert api.data(image) == DATA


def test_clients_import_from_another_region(
    clients: Clients, source: str, env: dict[str, str], start: Start, terminal: int
) -> None:
    with start(**env) as evidence, Api(evidence.service) as api:
        service = evidence.service
        glance = test_several_stores.glance_client(clients, service, terminal)
        openstack = test_openstack_client.client(clients, service, service.auth)
        method = "glance-download"

        at_once = "7a6ce2ea-0000-4000-8000-00000000000c"
        new = ("image-create-via-import", "--id", at_once, *FORMATS)
        remote = ("--remote-region", "east", "--remote-image-id", source)
        glance(*new, "--import-method", method, *remote)
        assert_is_copy(evidence, at_once)

        later = api.new(disk_format="iso", container_format="ova")
        # Without the interface openstacksdk sends neither region nor image.
        interface = ("--remote-service-interface", "public")
        remote = ("--remote-region", "east", "--remote-image", source, *interface)
        openstack("image", "import", "--method", method, *remote, later)
        assert_is_copy(evidence, later)


def test_an_image_that_is_missing_there_leaves_its_copy_queued(
    env: dict[str, str], start: Start
) -> None:
    with start(**env) as evidence, Api(evidence.service) as api:
        image = api.new(name="missing")
        ask(api, image, image)

        wait_until(lambda: tasks(api, image)[0]["status"] == "failure", "the failure")
        assert evidence.status(image) == "queued"
        assert "has no such image" in tasks(api, image)[0]["message"]


@pytest.mark.parametrize(
    "point", ["glance_download.claimed", "glance_download.streaming"]
)
def test_a_killed_worker_leaves_neither_a_secret_nor_bytes(
    point: str, source: str, env: dict[str, str], start: Start, tmp_path: Path
) -> None:
    note = tmp_path / "die-at"
    crash = {"IMAGECATALOG_LEASE_SECONDS": "5", "IMAGECATALOG_CRASH_FILE": str(note)}
    with start(**env, **crash) as evidence, Api(evidence.service) as api:
        image = api.new(name="killed")
        note.write_text(point)
        ask(api, image, source)

        secrets = f"SELECT secret FROM images_transfer WHERE image_id = '{image}'"
        assert evidence.rows(secrets) != [("",)]
        evidence.wait_for(image, "queued", 60)
        assert not note.exists()
        assert evidence.rows(secrets) == [("",)]
        evidence.wait_for_nothing_left(image, 60)

        ask(api, image, source)
        evidence.wait_for(image, "active", 60)
        assert api.data(image) == DATA


def ask(api: Api, image: str, source: str) -> None:
    method = {"name": "glance-download", "glance_region": "east"}
    body = {"method": method | {"glance_image_id": source}}
    assert api.post(f"images/{image}/import", json=body).status_code == 202


def tasks(api: Api, image: str) -> Any:
    return api.get(f"images/{image}/tasks").json()["tasks"]
