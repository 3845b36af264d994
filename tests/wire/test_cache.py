"""The cache of a real service in front of a real object store, with the ``glance`` command."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests import servers
from tests.servers import Service
from tests.wire.api import Api
from tests.wire.clients import Clients
from tests.wire.test_memory import LIMIT, watched

pytestmark = pytest.mark.slow

MIB = 1 << 20
KEY = "a-key-for-the-command"

Glance = Callable[..., str]


@pytest.fixture(scope="module")
def prefix() -> str:
    return uuid4().hex


@pytest.fixture(scope="module")
def cached_catalogue(
    tmp_path_factory: pytest.TempPathFactory, s3_server: servers.S3, prefix: str
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("cached")
    env = s3_server.env | {
        "IMAGECATALOG_STORES": s3_server.store("remote", prefix),
        "IMAGECATALOG_CACHE_DIR": str(folder / "cache"),
        "IMAGECATALOG_CACHE_MAX_SIZE": "300MB",
        "IMAGECATALOG_STATIC_KEYS": f"admin:{KEY}",
    }
    with servers.catalogue(folder, env) as service:
        yield service


@pytest.fixture
def api(cached_catalogue: Service) -> Iterator[Api]:
    with Api(cached_catalogue) as session:
        yield session
        session.delete("cache")


@pytest.fixture
def glance(clients: Clients, cached_catalogue: Service) -> Glance:
    def run(*words: str) -> str:
        options = ["--os-image-url", cached_catalogue.url, "--os-auth-token", KEY]
        done = clients.run("glance", *options, *words, env=os.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def uploaded(api: Api, data: bytes) -> str:
    image_id = api.new()
    assert api.upload(image_id, data).status_code == 204
    return image_id


def test_a_hit_needs_no_store_and_is_sent_whole_and_in_ranges(
    api: Api, s3_server: servers.S3, prefix: str, glance: Glance
) -> None:
    data = os.urandom(20 * MIB + 7)
    image_id = uploaded(api, data)
    assert api.data(image_id) == data

    shutil.rmtree(s3_server.folder / prefix)

    assert api.data(image_id) == data
    part = api.get(f"images/{image_id}/file", headers={"Range": "bytes=5-19999999"})
    assert part.content == data[5:20_000_000]
    (cached,) = api.get("cache").json()["cached_images"]
    assert (cached["image_id"], cached["hits"]) == (image_id, 2)
    assert image_id in glance("cache-list")
    assert api.delete(f"images/{image_id}").status_code == 204
    assert image_id not in glance("cache-list")


def test_the_worker_caches_what_glance_queues(api: Api, glance: Glance) -> None:
    images = [uploaded(api, os.urandom(MIB)) for _ in range(2)]

    glance("cache-queue", *images)
    servers.wait_until(
        lambda: api.get("cache").json()["queued_images"] == [], "the worker"
    )

    listed = glance("cache-list")
    assert listed.count("cached") == 2
    assert all(image_id in listed for image_id in images)
    glance("cache-delete", images[0])
    assert images[0] not in glance("cache-list")
    glance("cache-clean")
    assert "Pruned 0 file(s), 0 byte(s)." in glance("cache-prune")
    glance("cache-clear", "--target", "cache")
    assert images[1] not in glance("cache-list")


@pytest.mark.parametrize("minor", [14, 16, 18])
def test_the_minor_versions_of_the_cache_are_accepted(minor: int, api: Api) -> None:
    api.base = api.base.replace("/v2/", f"/v2.{minor}/")

    assert api.get("cache").status_code == 200


def test_filling_and_hits_do_not_fill_the_memory(
    api: Api, cached_catalogue: Service, tmp_path: Path
) -> None:
    size = 256 * MIB
    image_id = api.new()
    (source := tmp_path / "disk").touch()
    os.truncate(source, size)
    with source.open("rb") as file:
        assert api.upload(image_id, file).status_code == 204
    small = uploaded(api, os.urandom(MIB))
    for _ in range(20):  # every process has done this once
        api.data(small)

    with watched(cached_catalogue) as growth:
        for _ in range(2):
            with api.get(f"images/{image_id}/file", stream=True) as response:
                received = sum(map(len, response.iter_content(MIB)))
            assert received == size

    cached = api.get("cache").json()["cached_images"]
    assert {one["image_id"]: one["hits"] for one in cached}[image_id] == 1
    assert max(growth.values()) < LIMIT, growth
