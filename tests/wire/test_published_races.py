"""Readers of a published tree while versions are promoted, rolled back and deactivated."""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests

from images.http import digest_fields
from tests import servers
from tests.servers import Service
from tests.wire.api import OCTETS

LABELS = ("20260101", "20260201", "20260301")
DATA = {label: f"the data of {label}".encode() * 999 for label in LABELS}
WRITERS = 2
READERS = 4


class Tree:
    """A session with a service, at its published tree and its own API."""

    def __init__(self, service: Service) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = service.auth
        self.url = service.url

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.url}/pub/{path}", timeout=60)

    def send(self, path: str, **body: Any) -> requests.Response:
        return self.session.post(f"{self.url}{path}", json=body or None, timeout=60)

    def family(self) -> Any:
        families = self.get("index.json").json()["families"]
        return families[0] if families else None


def fill(service: Service) -> dict[str, str]:
    """Publish a family with three versions; their images by label."""
    tree, images = Tree(service), {}
    families = "/catalog/v1/families"
    made = tree.send(
        families,
        name="debian-13",
        architecture="x86_64",
        owner="default",
        scope="public",
        publish=True,
    )
    assert made.status_code == 201, made.text
    for label, data in DATA.items():
        digests = {"sha256": sha256(data), "sha512": sha512(data)}
        formats = {"disk_format": "raw", "container_format": "bare"}
        image = tree.send("/v2/images", visibility="public", owner="default", **formats)
        images[label] = image.json()["id"]
        tree.session.put(
            f"{tree.url}/v2/images/{images[label]}/file",
            data=data,
            headers=OCTETS | {"Repr-Digest": digest_fields.field(digests)},
        )
        built = f"{label[:4]}-{label[4:6]}-{label[6:]}"
        version = {"image": images[label], "label": label, "build_date": built}
        added = tree.send(f"{families}/debian-13/versions", promote=True, **version)
        assert added.status_code == 201, added.text
    servers.wait_until(
        lambda: (found := tree.family()) and len(found["versions"]) == len(LABELS),
        "three published versions",
    )
    return images


def write(tree: Tree, images: dict[str, str], choose: random.Random) -> None:
    """One change at random."""
    family = "/catalog/v1/families/debian-13"
    image = f"/v2/images/{images[LABELS[0]]}/actions"
    change = choose.choice(("promote", "promote", "rollback", "deactivate"))
    if change == "promote":
        answer = tree.send(f"{family}/promote", version=choose.choice(LABELS))
    elif change == "rollback":
        answer = tree.send(f"{family}/rollback")
    else:
        answer = tree.send(f"{image}/{choose.choice(('deactivate', 'reactivate'))}")
    assert answer.status_code in (200, 204, 409), answer.text


def read(tree: Tree, seen: Counter[str]) -> None:
    """Look at the tree once; each digest must be that of the file beside it."""
    before = tree.family()
    sums, file = (
        tree.get("images/debian-13/current/SHA256SUMS"),
        tree.get("images/debian-13/current/debian-13.raw"),
    )
    streams, index = tree.get("streams/v1/images.json").json(), tree.get("index").text
    after = tree.family()
    assert {sums.status_code, file.status_code} <= {200, 404}
    if file.ok:
        label = file.headers["Content-Location"].split("/")[-2]
        assert file.content == DATA[label]
        assert file.headers["ETag"] == f'"sha256-{sha256(DATA[label])}"'
    if before and after and before["revision"] == after["revision"]:
        seen["stable"] += 1
        label = before["current"]
        assert sums.ok is file.ok is (label is not None)
        newest = {max(it["versions"]) for it in streams["products"].values()}
        assert newest == ({label} if label else set())
        assert not label or sha256(file.content) in sums.text
        assert not label or sha512(file.content) in index
    label = random.choice(LABELS)
    folder = f"images/debian-13/{label}"
    sums, file = (
        tree.get(f"{folder}/SHA256SUMS"),
        tree.get(f"{folder}/debian-13-{label}.raw"),
    )
    if sums.ok and file.ok:
        seen["beside"] += 1
        assert sha256(file.content) in sums.text
        assert file.content == DATA[label]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha512(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "seconds"),
    [
        ("sqlite", 2),
        pytest.param("sqlite", 60, marks=pytest.mark.long),
        pytest.param("postgres", 60, marks=pytest.mark.long),
    ],
)
def test_no_digest_ever_disagrees_with_the_file_beside_it(
    database: str, seconds: float, tmp_path: Path, request: Any
) -> None:
    env = {"IMAGECATALOG_PUBLISH": "public", "IMAGECATALOG_IMAGE_CHANGE_RATE": "0"}
    if database == "postgres":
        url = request.getfixturevalue("postgres_url")
        env["DATABASE_URL"] = servers.prepared_database(url)
    seen: Counter[str] = Counter()
    with servers.catalogue(tmp_path, env) as service:
        images = fill(service)

        def work(number: int, stop: Event) -> None:
            tree, choose = Tree(service), random.Random(number)
            while not stop.is_set():
                if number < WRITERS:
                    write(tree, images, choose)
                    time.sleep(0.05)
                else:
                    read(tree, seen)

        with servers.in_threads(WRITERS + READERS, work):
            time.sleep(seconds / 2)
            worker = servers.background_worker(service)
            assert worker
            worker.kill()  # SIGKILL; the service starts another one
            time.sleep(seconds / 2)

        tree = Tree(service)
        tree.send(f"/v2/images/{images[LABELS[0]]}/actions/reactivate")
        tree.send("/catalog/v1/families/debian-13/promote", version=LABELS[0])
        assert tree.family()["current"] == LABELS[0]
        assert (
            tree.get("images/debian-13/current/debian-13.raw").content
            == DATA[LABELS[0]]
        )
        assert "Traceback" not in service.log.read_text()
    assert min(seen["stable"], seen["beside"]) > seconds, seen
