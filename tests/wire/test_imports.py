"""The import API with the clients as they are: staged data, URLs, and their tasks."""

from __future__ import annotations

import io
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import glanceclient
import pytest
from keystoneauth1.http_basic import HTTPBasicAuth
from keystoneauth1.session import Session

from tests.servers import Service
from tests.web import allow
from tests.wire import test_openstack_client, test_openstacksdk
from tests.wire.api import OCTETS, Api
from tests.wire.clients import Clients
from tests.wire.conftest import DATA, Start
from tests.wire.evidence import Evidence

RAW = {"disk_format": "raw", "container_format": "bare"}
FORMATS = ("--disk-format", "raw", "--container-format", "bare")
JSON = ("-f", "json")

# About what openstacksdk does inside.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@pytest.fixture
def glance(catalogue: Service) -> Any:
    """The library behind the command ``glance``."""
    return glance_client(catalogue)


def glance_client(service: Service) -> Any:
    auth = HTTPBasicAuth(username=service.auth[0], password=service.auth[1])
    session = Session(auth=auth)
    return glanceclient.Client("2", session=session, endpoint_override=service.url)


def test_the_openstack_command_stages_and_imports(
    clients: Clients, catalogue: Service, api: Api, evidence: Evidence, disk: Path
) -> None:
    openstack = test_openstack_client.client(clients, catalogue, catalogue.auth)

    words = [*FORMATS, "--import", "--file", disk, "imported", *JSON]
    at_once = openstack("image", "create", *words)["id"]
    evidence.wait_for(at_once, "active")

    image = api.new(name="staged")
    openstack("image", "stage", "--file", disk, image)
    assert openstack("image", "show", image, *JSON)["status"] == "uploading"
    openstack("image", "import", "--method", "glance-direct", image)
    evidence.wait_for(image, "active")
    tasks = openstack("image", "task", "list", "--limit", "1000", *JSON)
    of_image = [task["ID"] for task in tasks if task["Status"] == "success"]
    shown = [openstack("image", "task", "show", one, *JSON) for one in of_image]
    assert {at_once, image} <= {one["input"]["image_id"] for one in shown}

    for image_id in (at_once, image):
        saved = disk.with_name(image_id)
        openstack("image", "save", "--file", saved, image_id)
        assert saved.read_bytes() == DATA
        openstack("image", "delete", image_id)


def test_openstacksdk_stages_and_imports(
    catalogue: Service, evidence: Evidence
) -> None:
    with test_openstacksdk.signed_in(catalogue, catalogue.auth) as images:
        image = images.create_image(name="sdk", allow_duplicates=True, **RAW)
        image = images.stage_image(image, data=DATA)
        assert (image.status, image.size) == ("uploading", len(DATA))
        images.import_image(image)
        evidence.wait_for(image.id, "active")

        assert images.download_image(image).content == DATA
        (task,) = images.image_tasks(image)
        assert (task.status, task.type) == ("success", "api_image_import")
        assert images.get_task(task.id).result == {"image_id": image.id}
        images.delete_image(image)


def test_glanceclient_stages_and_imports(glance: Any, evidence: Evidence) -> None:
    image = glance.images.create(name="glance", **RAW)
    glance.images.stage(image.id, io.BytesIO(DATA))
    glance.images.image_import(image.id, "glance-direct")
    evidence.wait_for(image.id, "active")

    assert b"".join(glance.images.data(image.id)) == DATA
    assert glance.images.get_import_info()["import-methods"]["value"]
    (task,) = glance.images.get_associated_image_tasks(image.id)["tasks"]
    assert task["status"] == "success"
    glance.images.delete(image.id)


@pytest.mark.slow
def test_clients_import_from_a_url(clients: Clients, web: str, start: Start) -> None:
    with start(**allow(web)) as evidence:
        service = evidence.service
        openstack = test_openstack_client.client(clients, service, service.auth)
        glance = glance_client(service)
        image = glance.images.create(name="web", **RAW).id
        openstack("image", "import", "--method", "web-download", "--uri", web, image)
        evidence.wait_for(image, "active")

        other = glance.images.create(name="web", **RAW).id
        glance.images.image_import(other, "web-download", uri=web)
        evidence.wait_for(other, "active")
        assert b"".join(glance.images.data(other)) == DATA

        gone = glance.images.create(name="gone", **RAW).id
        glance.images.image_import(gone, "web-download", uri=f"{web}-gone")
        evidence.wait_for(gone, "queued")
        assert evidence.files(gone) == []


def test_of_imports_that_come_at_once_exactly_one_is_accepted(
    catalogue: Service, api: Api, evidence: Evidence
) -> None:
    image = api.new(name="raced")
    api.put(f"images/{image}/stage", data=DATA, headers=OCTETS)
    codes: list[int] = []

    def request() -> None:
        with Api(catalogue) as other:
            body = {"method": {"name": "glance-direct"}}
            codes.append(other.post(f"images/{image}/import", json=body).status_code)

    threads = [threading.Thread(target=request) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Counter(codes) == {202: 1, 409: 5}
    evidence.wait_for(image, "active")
    counted = "SELECT COUNT(*) FROM images_imagelocation WHERE image_id"
    assert evidence.rows(f"{counted} = '{image}'") == [(1,)]
    api.delete(f"images/{image}")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "", {204}),
        ("POST", "/actions/deactivate", {204, 403}),
        ("PATCH", "", {200}),
    ],
)
def test_an_import_races_a_change(
    api: Api, evidence: Evidence, method: str, path: str, allowed: set[int]
) -> None:
    image = api.new(name="raced")
    api.put(f"images/{image}/stage", data=DATA, headers=OCTETS)
    rename = [{"op": "replace", "path": "/name", "value": "renamed"}]
    media = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    rest: dict[str, Any] = (
        {"json": rename, "headers": media} if method == "PATCH" else {}
    )

    body = {"method": {"name": "glance-direct"}}
    assert api.post(f"images/{image}/import", json=body).status_code == 202
    code = api.request(method, f"images/{image}{path}", **rest).status_code

    assert code in allowed
    if method == "DELETE":
        evidence.wait_for_nothing_left(image)
    else:
        evidence.wait_for(image, "active" if code != 204 else "deactivated")
        api.delete(f"images/{image}")
