"""Imports into several stores, and their stores one by one, with the commands of OpenStack."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import servers
from tests.servers import Service
from tests.web import allow
from tests.wire import test_openstack_client
from tests.wire.api import Api
from tests.wire.clients import Clients
from tests.wire.evidence import Evidence

FORMATS = ("--disk-format", "raw", "--container-format", "bare")
JSON = ("-f", "json")
KEY = "a-key-for-the-commands"

pytestmark = pytest.mark.slow

Glance = Callable[..., str]


@contextmanager
def three_stores(folder: Path, web: str) -> Iterator[Evidence]:
    """A service with the stores ``local``, ``far`` and ``third``."""
    data = folder / "stores"
    stores = ",".join(
        f"{name}=file://{data}/{name}" for name in ("local", "far", "third")
    )
    env = {"IMAGECATALOG_STORES": stores, "IMAGECATALOG_STATIC_KEYS": f"admin:{KEY}"}
    with servers.catalogue(folder, env | allow(web)) as service:
        yield Evidence(service, data)


def glance_client(clients: Clients, service: Service, terminal: int) -> Glance:
    def glance(*words: str | Path) -> str:
        options = ["--os-image-api-version", "2", "--os-image-url", service.url]
        options += ["--os-auth-token", KEY]
        stdin = os.ttyname(terminal)
        done = clients.run("glance", *options, *words, env=os.environ, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return glance


def held(evidence: Evidence, image: str) -> list[str]:
    """The stores with a file of the image."""
    return sorted(
        path.relative_to(evidence.folder).parts[0]
        for path in map(Path, evidence.files(image))
    )


def wait_for_stores(evidence: Evidence, image: str, *names: str) -> None:
    servers.wait_until(
        lambda: held(evidence, image) == sorted(names), f"{image} in {names}", 20
    )
    with Api(evidence.service) as api:

        def shown() -> set[str]:
            return set(api.get(f"images/{image}").json()["stores"].split(","))

        servers.wait_until(lambda: shown() == set(names), "the attribute", 20)


def test_the_openstack_command_imports_into_several_stores(
    clients: Clients, tmp_path: Path, web: str
) -> None:
    with three_stores(tmp_path, web) as evidence:
        service = evidence.service
        openstack = test_openstack_client.client(clients, service, service.auth)
        with Api(service) as api:
            one, two = api.new(name="one"), api.new(name="two")
        fetch = ("--method", "web-download", "--uri", web)

        openstack("image", "import", *fetch, one, "--all-stores")
        evidence.wait_for(one, "active")
        wait_for_stores(evidence, one, "local", "far", "third")

        openstack("image", "import", *fetch, two, "--store", "far")
        evidence.wait_for(two, "active")
        wait_for_stores(evidence, two, "far")
        copy = ("--method", "copy-image", two)
        openstack("image", "import", *copy, "--store", "third", "--allow-failure")
        wait_for_stores(evidence, two, "far", "third")
        openstack("image", "import", *copy, "--all-stores")
        wait_for_stores(evidence, two, "local", "far", "third")

        openstack("image", "delete", "--store", "far", two)
        shown = openstack("image", "show", two, *JSON)
        assert set(shown["properties"]["stores"].split(",")) == {"local", "third"}


def test_the_glance_command_imports_into_several_stores(
    clients: Clients, tmp_path: Path, web: str, disk: Path, terminal: int
) -> None:
    with three_stores(tmp_path, web) as evidence:
        glance = glance_client(clients, evidence.service, terminal)
        assert "third" in glance("stores-info")

        ids = ["7a6ce2ea-0000-4000-8000-00000000000a"]
        ids.append(ids[0][:-1] + "b")
        new = ("image-create-via-import", *FORMATS, "--id")
        glance(*new, ids[0], "--file", disk, "--stores", "far,third")
        evidence.wait_for(ids[0], "active")
        wait_for_stores(evidence, ids[0], "far", "third")

        fetch = ("--import-method", "web-download", "--uri", web)
        glance(*new, ids[1], *fetch, "--all-stores", "True")
        evidence.wait_for(ids[1], "active")
        wait_for_stores(evidence, ids[1], "local", "far", "third")

        copy = ("image-import", ids[0], "--import-method", "copy-image")
        glance(*copy, "--all-stores", "True")
        wait_for_stores(evidence, ids[0], "local", "far", "third")
        glance("stores-delete", ids[0], "--store", "third")
        assert "far" in glance("image-show", ids[0])
