"""API v1 on the wire: what its own functional tests have always asserted, and each way to fail."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests import servers
from tests.web import Quiet, Slow, allow, serving, serving_new
from tests.wire.api import OCTETS, Api, ApiV1, connect, head, meta, reset
from tests.wire.conftest import FREQUENT_ROUNDS, Start
from tests.wire.evidence import Evidence

MIB = 1 << 20
FIVE_KB = 5 * 1024
GIB = 1 << 30
DATA = os.urandom(12 * MIB)  # more than one part of an upload to S3
KIND = "Content-Type: application/octet-stream"
FORMATS = ("x-image-meta-disk_format: raw", "x-image-meta-container_format: bare")


@pytest.fixture
def alone(start: Start) -> Iterator[tuple[ApiV1, Evidence]]:
    """API v1 of a catalogue in which there is nothing."""
    with start() as evidence, ApiV1(evidence.service) as v1:
        yield v1, evidence


def test_an_image_lives_as_it_always_did(alone: tuple[ApiV1, Evidence]) -> None:
    v1, evidence = alone

    # 0, 1: nothing is there
    for path in ("images", "images/detail"):
        assert v1.get(path).json() == {"images": []}

    # 2: registered with data
    data = b"*" * FIVE_KB
    public = meta(Name="Image1", Is_Public=True, disk_format="raw")
    public |= meta(container_format="ovf")
    created = v1.post("images", data=data, headers=OCTETS | public)
    assert created.status_code == 201
    image = created.json()["image"]
    image_id = image["id"]
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert (image["size"], image["name"], image["is_public"]) == (
        FIVE_KB,
        "Image1",
        True,
    )

    # 3: HEAD
    shown = v1.head(f"images/{image_id}")
    assert (shown.status_code, shown.headers["x-image-meta-name"]) == (200, "Image1")

    # 4: GET
    given = v1.get(f"images/{image_id}")
    assert (given.status_code, given.content) == (200, data)
    expected = {
        "x-image-meta-id": image_id,
        "x-image-meta-name": "Image1",
        "x-image-meta-is_public": "True",
        "x-image-meta-status": "active",
        "x-image-meta-disk_format": "raw",
        "x-image-meta-container_format": "ovf",
        "x-image-meta-size": str(FIVE_KB),
        "content-length": str(FIVE_KB),
        "content-type": "application/octet-stream",
    }
    assert {name: given.headers[name] for name in expected} == expected

    # 5: the short list
    assert v1.get("images").json() == {
        "images": [
            {
                "container_format": "ovf",
                "disk_format": "raw",
                "id": image_id,
                "name": "Image1",
                "checksum": image["checksum"],
                "size": FIVE_KB,
            }
        ]
    }

    # 6: the long one
    (listed,) = v1.get("images/detail").json()["images"]
    expected_json = {
        "status": "active",
        "name": "Image1",
        "deleted": False,
        "container_format": "ovf",
        "disk_format": "raw",
        "id": image_id,
        "is_public": True,
        "deleted_at": None,
        "properties": {},
        "size": FIVE_KB,
    }
    assert {name: listed[name] for name in expected_json} == expected_json

    # 7: two properties, in lower case from now on
    two = {
        "X-Image-Meta-Property-Distro": "Ubuntu",
        "X-Image-Meta-Property-Arch": "x86_64",
    }
    both = {"distro": "Ubuntu", "arch": "x86_64"}
    put = v1.put(f"images/{image_id}", headers=two)
    assert (put.status_code, put.json()["image"]["properties"]) == (200, both)

    # 8, 9: too many are refused and change nothing
    many = {f"X-Image-Meta-Property-foo{number}": "bar" for number in range(129)}
    assert v1.put(f"images/{image_id}", headers=many).status_code == 413
    (listed,) = v1.get("images/detail").json()["images"]
    assert listed["properties"] == both

    # 10, 11: those that are not sent go, and come again
    arch = {"X-Image-Meta-Property-Arch": "x86_64"}
    assert v1.put(f"images/{image_id}", headers=arch).status_code == 200
    (listed,) = v1.get("images/detail").json()["images"]
    assert listed["properties"] == {"arch": "x86_64"}
    assert v1.put(f"images/{image_id}", headers=two).status_code == 200
    (listed,) = v1.get("images/detail").json()["images"]
    assert listed["properties"] == both
    assert listed["created_at"] != listed["updated_at"]

    # 12 to 15: members
    for name in ("pattieblack", "pattiewhite"):
        assert v1.put(f"images/{image_id}/members/{name}").status_code == 204
    assert v1.get(f"images/{image_id}/members").json() == {
        "members": [
            {"member_id": "pattieblack", "can_share": False},
            {"member_id": "pattiewhite", "can_share": False},
        ]
    }
    gone = v1.delete(f"images/{image_id}/members/pattieblack")
    assert gone.status_code == 204

    # 16 to 20: deleted, with its members
    deleted = v1.delete(f"images/{image_id}")
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert v1.get(f"images/{image_id}/members").status_code == 404
    wanted = {"memberships": [{"member_id": "pattieblack", "can_share": False}]}
    assert v1.put(f"images/{image_id}/members", json=wanted).status_code == 404
    for method in ("PUT", "DELETE"):
        answer = v1.request(method, f"images/{image_id}/members/pattieblack")
        assert answer.status_code == 404
    assert evidence.status(image_id) == "pending_delete"


def test_a_queued_image_gets_its_data_later(v1: ApiV1) -> None:
    image = v1.register().json()["image"]
    assert (image["status"], image["size"], image["checksum"]) == ("queued", 0, None)

    filled = v1.put(
        f"images/{image['id']}", data=iter([DATA[:MIB], b"x"]), headers=OCTETS
    )

    image = filled.json()["image"]
    assert (image["status"], image["size"]) == ("active", MIB + 1)
    assert v1.get(f"images/{image['id']}").content == DATA[:MIB] + b"x"


def test_a_chunked_body_without_a_size_is_an_image(v1: ApiV1) -> None:
    created = v1.register(iter([DATA]))

    image = created.json()["image"]
    assert (created.status_code, image["size"]) == (201, len(DATA))
    assert v1.get(f"images/{image['id']}").content == DATA


def test_explicitly_no_bytes_are_active_at_once(v1: ApiV1) -> None:
    image = v1.register(size=0).json()["image"]

    assert image["status"] == "active"
    given = v1.get(f"images/{image['id']}")
    assert (given.status_code, given.content) == (200, b"")


def test_what_is_asked_again_or_never_was(v1: ApiV1) -> None:
    given = str(uuid4())

    assert v1.register(id=given).status_code == 201
    assert v1.register(id=given).status_code == 409
    missing = f"images/{uuid4()}"
    assert v1.delete(missing).status_code == 404
    assert v1.head(missing).status_code == 404
    refused = v1.register(b"x", disk_format="fake")
    assert (refused.status_code, "Invalid disk format" in refused.text) == (400, True)


def test_headers_with_underscores_hyphens_and_percent_signs_arrive(v1: ApiV1) -> None:
    headers = OCTETS | {
        "x-image-meta-name": b"%C3%9Cber%20alles",
        "x-image-meta-disk-format": "raw",
        "X-IMAGE-META-CONTAINER_FORMAT": "bare",
        "x-image-meta-min_ram": "512",
        "x-image-meta-property-kernel_id": "Österreich".encode(),
        "x-image-meta-property-os%20type": "linux",
    }

    image = v1.post("images", headers=headers).json()["image"]

    assert (image["name"], image["min_ram"]) == ("Über alles", 512)
    assert (image["disk_format"], image["container_format"]) == ("raw", "bare")
    assert image["properties"] == {"kernel_id": "Österreich", "os type": "linux"}
    shown = v1.head(f"images/{image['id']}")
    assert shown.headers["x-image-meta-name"].encode("latin-1").decode() == "Über alles"


def test_a_name_with_an_underscore_forges_no_other_header(v1: ApiV1) -> None:
    name = "X_OpenStack_Request_ID"

    for field, taken in ((name, False), (name.replace("_", "-"), True)):
        answer = v1.get("images", headers={field: "req-of-the-client"})
        own = answer.headers["x-openstack-request-id"]
        assert (own == "req-of-the-client") is taken


def test_data_removed_behind_our_back_is_404_and_the_image_is_known(
    v1: ApiV1, evidence: Evidence
) -> None:
    image_id = v1.register(b"x").json()["image"]["id"]
    for path in evidence.files(image_id):
        os.unlink(path)

    assert v1.head(f"images/{image_id}").status_code == 200
    assert v1.get(f"images/{image_id}").status_code == 404


def test_the_other_version_sees_the_same_image(v1: ApiV1, api: Api) -> None:
    image_id = v1.register(DATA, name="shared by both").json()["image"]["id"]
    assert api.image(image_id)["visibility"] == "shared"
    assert api.data(image_id) == DATA

    second = api.new(name="of the second", min_ram=5)
    api.upload(second, DATA)
    shown = v1.get(f"images/{second}")
    assert (shown.headers["x-image-meta-min_ram"], shown.content) == ("5", DATA)

    api.post(f"images/{second}/actions/deactivate")
    assert v1.status(second) == "deactivated"


# Locations and copies


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    with serving_new(tmp_path / "web", {"image": DATA, "other": DATA}) as url:
        yield url


class Large(Quiet):
    """Says that it has 5 GiB, and gives nothing."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(5 * GIB))
        self.end_headers()


def test_a_location_of_five_gibibytes_keeps_its_size(start: Start) -> None:
    trust = {"IMAGECATALOG_LOCATION_DATA": "trust"}  # nobody has so much data
    with serving(Large) as url, start(**allow(url), **trust) as evidence:
        v1 = ApiV1(evidence.service)

        created = v1.register(location=f"{url}/large", size=5 * GIB)

        image = created.json()["image"]
        assert (image["status"], image["size"]) == ("active", 5 * GIB)
        assert v1.status(image["id"]) == "active"
        events = f"SELECT to_status FROM images_event WHERE image_id = '{image['id']}'"
        assert ("saving",) not in evidence.rows(events)
        wrong = v1.register(location=f"{url}/large", size=5)
        assert wrong.status_code == 409


def test_a_copy_arrives_by_itself(web: str, start: Start, tmp_path: Path) -> None:
    with start(**allow(web)) as evidence:
        v1 = ApiV1(evidence.service)

        created = v1.register(copy_from=f"{web}/image", name="copied")
        image = created.json()["image"]
        assert (created.status_code, image["status"]) == (201, "queued")
        assert image["size"] == len(DATA)

        evidence.wait_for(image["id"], "active")
        (tmp_path / "web" / "image").unlink()  # it is ours now
        given = v1.get(f"images/{image['id']}")
        assert (given.headers["Content-Length"], given.content) == (
            str(len(DATA)),
            DATA,
        )
        assert v1.delete(f"images/{image['id']}").status_code == 200

        missing = v1.register(copy_from=f"{web}/missing").json()["image"]
        assert missing["status"] == "queued"
        evidence.wait_for(missing["id"], "killed")
        assert v1.status(missing["id"]) == "killed"
        assert v1.get(f"images/{missing['id']}").status_code == 404
        assert v1.delete(f"images/{missing['id']}").status_code == 200

        refused = v1.register(copy_from="file:///etc/passwd")
        assert refused.status_code == 400
        assert "External sourcing not supported for store file://" in refused.text
        inner = v1.register(copy_from="http://169.254.169.254/latest")
        assert inner.status_code == 400


@pytest.fixture
def slow() -> Iterator[str]:
    Slow.began.clear()
    Slow.go_on.clear()
    with serving(Slow) as url:
        yield url
        Slow.go_on.set()


def test_an_image_is_deleted_while_it_is_copied(slow: str, start: Start) -> None:
    with start(**allow(slow)) as evidence:
        v1 = ApiV1(evidence.service)
        image_id = v1.register(copy_from=slow).json()["image"]["id"]
        assert Slow.began.wait(30)
        assert v1.status(image_id) == "saving"

        assert v1.delete(f"images/{image_id}").status_code == 200
        Slow.go_on.set()

        evidence.wait_for_nothing_left(image_id)
        assert evidence.status(image_id) == "deleted"


def test_a_service_that_is_stopped_copies_again_when_it_is_back(
    slow: str, start: Start
) -> None:
    with start(**allow(slow)) as evidence:
        v1 = ApiV1(evidence.service)
        image_id = v1.register(copy_from=slow).json()["image"]["id"]
        assert Slow.began.wait(30)
        threading.Timer(1, Slow.go_on.set).start()
    assert evidence.status(image_id) == "queued"
    assert evidence.files(image_id) == []

    with start(**allow(slow)) as evidence:
        evidence.wait_for(image_id, "active")


def test_a_worker_that_is_killed_leaves_a_killed_image(slow: str, start: Start) -> None:
    with start(**allow(slow), **FREQUENT_ROUNDS) as evidence:
        v1 = ApiV1(evidence.service)
        image_id = v1.register(copy_from=slow).json()["image"]["id"]
        assert Slow.began.wait(30)
        worker = servers.background_worker(evidence.service)
        assert worker

        worker.kill()

        killed(evidence, image_id)


# Ways to fail: each ends in `killed` (or `deleted`), an event that says why, and no bytes


def killed(evidence: Evidence, image_id: str, status: str = "killed") -> None:
    evidence.wait_for(image_id, status)
    evidence.wait_for_nothing_left(image_id)
    query = f"SELECT to_status, reason FROM images_event WHERE image_id = '{image_id}'"
    last, reason = evidence.rows(f"{query} ORDER BY id")[-1]
    assert (last, bool(reason)) == (status, status == "killed")


def begin(evidence: Evidence, *more: str) -> tuple[str, socket.socket]:
    """An upload that has begun: its head was sent; the id of its image."""
    image_id = str(uuid4())
    fields = (KIND, *FORMATS, f"x-image-meta-id: {image_id}", *more)
    sock = connect(evidence.service)
    sock.sendall(head(evidence.service, "POST", "/v1/images", *fields))
    query = f"SELECT status FROM images_image WHERE id = '{image_id}'"
    servers.wait_until(lambda: evidence.rows(query) == [("saving",)], "the upload")
    return image_id, sock


def answer(sock: socket.socket) -> bytes:
    with sock, sock.makefile("rb") as lines:
        return lines.readline()


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_a_client_that_goes_away(
    framing: str, leave: Any, v1: ApiV1, evidence: Evidence
) -> None:
    length = f"Content-Length: {len(DATA) + 1}"
    coding = length if framing == "counted" else "Transfer-Encoding: chunked"
    image_id, sock = begin(evidence, coding)
    sock.sendall(DATA if framing == "counted" else b"%x\r\n%s" % (len(DATA) + 1, DATA))
    leave(sock)

    killed(evidence, image_id)
    assert v1.get(f"images/{image_id}").status_code == 404
    again = v1.put(f"images/{image_id}", data=DATA, headers=OCTETS)
    assert again.status_code == 409
    assert v1.delete(f"images/{image_id}").status_code == 200
    assert evidence.status(image_id) == "deleted"


def test_a_client_that_stops_half_way_is_told_400(
    v1: ApiV1, evidence: Evidence
) -> None:
    image_id, sock = begin(evidence, f"Content-Length: {len(DATA)}")
    sock.sendall(DATA[:-1])
    sock.shutdown(socket.SHUT_WR)

    assert answer(sock).startswith(b"HTTP/1.1 400 ")
    killed(evidence, image_id)


@pytest.mark.parametrize(
    "claim",
    [
        {"checksum": "0" * 32},
        {"size": len(DATA) - 1},
        {"size": len(DATA) + 1},
        {"size": 0},
        {"disk_format": "qcow2"},
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_bytes_that_are_not_as_they_were_said_to_be(
    claim: Any, chunked: bool, v1: ApiV1, evidence: Evidence
) -> None:
    image_id = str(uuid4())

    refused = v1.register(iter([DATA]) if chunked else DATA, id=image_id, **claim)

    assert refused.status_code == 400
    killed(evidence, image_id)


def test_data_in_another_dress(v1: ApiV1, evidence: Evidence) -> None:
    image_id = str(uuid4())
    headers = meta(id=image_id, disk_format="raw", container_format="bare")

    refused = v1.post("images", data=b"{}", headers=headers)

    assert (refused.status_code, "octet-stream" in refused.text) == (400, True)
    killed(evidence, image_id)


def test_an_image_that_is_deleted_meanwhile(v1: ApiV1, evidence: Evidence) -> None:
    image_id, sock = begin(evidence, f"Content-Length: {len(DATA)}")
    sock.sendall(DATA[:-1])
    assert v1.delete(f"images/{image_id}").status_code == 200
    sock.sendall(DATA[-1:])

    assert answer(sock).startswith(b"HTTP/1.1 412 ")
    killed(evidence, image_id, "deleted")


def test_an_image_that_is_too_large(start: Start) -> None:
    with start(IMAGECATALOG_IMAGE_SIZE_CAP=str(MIB)) as evidence:
        v1 = ApiV1(evidence.service)

        announced = v1.register(DATA)
        assert announced.status_code == 400
        assert v1.register(size=MIB + 1).status_code == 400
        assert evidence.rows("SELECT id FROM images_image") == []

        image_id = str(uuid4())
        unknown = v1.register(iter([DATA]), id=image_id)
        assert unknown.status_code == 413
        killed(evidence, image_id)


def test_a_store_that_is_full(small_disk: Path, tmp_path: Path) -> None:
    env = {"IMAGECATALOG_STORES": f"small=file://{small_disk}"}
    with servers.catalogue(tmp_path, env) as service, ApiV1(service) as v1:
        evidence, image_id = Evidence(service, small_disk), str(uuid4())

        refused = v1.register(DATA, id=image_id)

        assert (refused.status_code, "full" in refused.text) == (413, True)
        killed(evidence, image_id)
        assert v1.register(DATA[:MIB]).status_code == 201


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    env = {"IMAGECATALOG_STORES": f"broken=file://{tmp_path}/file/images"}
    with servers.catalogue(tmp_path, env) as service, ApiV1(service) as v1:
        evidence, image_id = Evidence(service, tmp_path / "data"), str(uuid4())

        refused = v1.register(DATA, id=image_id)

        assert refused.status_code == 503
        killed(evidence, image_id)


def test_a_service_that_is_killed(tmp_path: Path) -> None:
    # In an object store the parts of a broken-off upload are the bucket's to remove.
    folder = tmp_path / "data" / "images"
    with servers.catalogue(tmp_path) as service:
        length = f"Content-Length: {len(DATA)}"
        image_id, sock = begin(Evidence(service, folder), length)
        sock.sendall(DATA[:MIB])
        service.kill()
        sock.close()

    with servers.catalogue(tmp_path, FREQUENT_ROUNDS) as service:
        killed(Evidence(service, folder), image_id)


# API v1 on and off


def test_api_v1_can_be_switched_off(tmp_path: Path) -> None:
    with servers.catalogue(tmp_path, {"IMAGECATALOG_V1": "off"}) as service:
        for path in ("/v1", "/v1/", "/v1/images", f"/v1/images/{uuid4()}"):
            answer = requests.get(service.url + path, auth=service.auth)
            assert answer.status_code == 300
        versions = requests.get(f"{service.url}/versions").json()["versions"]
        assert {it["id"][:3] for it in versions} == {"v2."}
