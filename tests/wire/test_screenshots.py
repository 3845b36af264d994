"""The pictures of the documentation: `make screenshots` takes them anew."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests import servers
from tests.servers import Service
from tests.wire.api import OCTETS, Api, ApiV1, CatalogApi, connect, upload_head
from tests.wire.browser import FRONT, LIST, Screen

pytestmark = pytest.mark.slow
MIB = 1 << 20
TOGETHER = 600_000  # bytes of all pictures, which every clone has
HALF = re.compile(r"3\d(\.\d)? MiB of 64")
CLOUD = {
    "visibility": "public",
    "disk_format": "qcow2",
    "hw_disk_bus": "virtio",
    "hw_qemu_guest_agent": "yes",
    "os_type": "linux",
}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own: no other test's images are in the picture."""
    env = {
        "IMAGECATALOG_REQUIRE_FORMAT_MATCH": "off",  # its images are zeros
        "IMAGECATALOG_LEASE_SECONDS": "30",  # a heartbeat each 5 s
        "IMAGECATALOG_PUBLISH": "public",
    }
    with servers.catalogue(tmp_path_factory.mktemp("gallery"), env) as service:
        yield service


def projects(service: Service) -> dict[str, str]:
    """The ids of new projects, by name."""
    for name, user in (("platform", "maria"), ("ci", "build-bot"), ("desktop", "jun")):
        service.manage("user_create", user, "--project", name)
    lines = service.manage("user_list").splitlines()
    words = [line.rstrip(")").split() for line in lines]
    return {line[-2]: line[-1].lstrip("(") for line in words}


def image(api: Api, name: str, size: int, **fields: Any) -> str:
    """The id of a new image with as many MiB of data."""
    image_id = api.new(name=name, **fields)
    assert api.upload(image_id, bytes(MIB) * size).status_code == 204
    return image_id


def fill(service: Service, api: Api) -> str:
    """Fill the catalogue; returns the id of the image whose page is shown."""
    owner = projects(service)
    public = {"owner": owner["platform"], **CLOUD}
    desktop, builds = {"owner": owner["desktop"]}, {"owner": owner["ci"]}
    image(api, "windows-server-2025-eval", 46, **desktop, os_type="windows")
    old = image(api, "ubuntu-22.04-server-amd64", 23, **public, tags=["lts"])
    api.post(f"images/{old}/actions/deactivate")
    with ApiV1(service) as v1:
        wrong = {
            "X-Image-Meta-Checksum": "0" * 32,
            "X-Image-Meta-Name": "legacy-import",
        }
        formats = {
            "X-Image-Meta-Disk_Format": "raw",
            "X-Image-Meta-Container_Format": "bare",
        }
        v1.post("images", data=b"cut off", headers=OCTETS | formats | wrong)
    api.new(name="alpine-3.23-nocloud-amd64", **builds)
    image(api, "fedora-cloud-43-x86_64", 21, **public)
    image(api, "rocky-10-genericcloud-x86_64", 27, **public, protected=True)
    image(api, "ubuntu-24.04-server-arm64", 25, **public, tags=["lts", "arm64"])
    image(api, "ubuntu-24.04-server-amd64", 26, **public, tags=["lts"])
    shown = image(
        api,
        "debian-13-genericcloud-amd64",
        24,
        **public,
        protected=True,
        tags=["debian", "stable"],
        os_distro="debian",
        os_version="13",
        min_disk=2,
        min_ram=512,
    )
    return shown


def publish(service: Service, image_id: str) -> str:
    """Publish a family with one version; returns the path of its page when it is there."""
    family = {
        "name": "debian-13",
        "title": "Debian 13",
        "architecture": "x86_64",
        "scope": "public",
        "publish": True,
        "homepage": "https://www.debian.org/",
        "description": "The stable release of Debian, with cloud-init and the QEMU guest agent.",
    }
    with CatalogApi(service) as api:
        api.post("families", json=family)
        version = {
            "image": image_id,
            "label": "20260131",
            "build_date": "2026-01-31",
            "promote": True,
        }
        added = api.post("families/debian-13/versions", json=version)
        assert added.status_code == 201, added.text
        page = "/pub/images/debian-13/"
        servers.wait_until(
            lambda: requests.get(f"{service.url}{page}", timeout=60).ok,
            "the publication",
            log=service.log,
        )
    return page


def uploading(service: Service, api: Api, name: str, size: int, **fields: Any) -> Any:
    """A connection on which an upload is under way, half of it sent."""
    sock = connect(service)
    length = f"Content-Length: {size * MIB}"
    sock.sendall(upload_head(service, api.new(name=name, **fields), length))
    sock.sendall(bytes(MIB) * (size // 2))
    time.sleep(6)  # the next byte brings the heartbeat that counts those before it
    sock.sendall(bytes(MIB))
    return sock


def test_pictures_of_the_admin(
    gallery: Service, browser: Browser, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    with Api(gallery) as api:
        shown = fill(gallery, api)
        with uploading(gallery, api, f"nightly-{uuid4().hex[:7]}", 64):
            size = {"width": 1280, "height": 800}
            screen = Screen(browser, gallery, viewport=size, color_scheme="light")
            screen.sign_in()
            screen.page.goto(LIST)
            expect(screen.page.get_by_text(HALF)).to_be_visible()
            screen.page.screenshot(path=folder / "image-list.png")
            screen.image(shown)
            expect(screen.page.locator("h1 .badge")).to_have_text("Active")
            screen.page.screenshot(path=folder / "image-page.png")
            for name, path in {
                "overview": FRONT,
                "transfers": "/admin/images/transfer/",
                "confirmation": f"{LIST}{shown}/move/deactivate/",
            }.items():
                screen.page.goto(path)
                expect(
                    screen.page.locator("main h1, #content h1").first
                ).to_be_visible()
                screen.page.screenshot(path=folder / f"{name}.png")
            screen.page.goto(publish(gallery, shown))
            screen.page.screenshot(path=folder / "published-family.png")
            screen.context.close()

    assert screen.complaints == []
    assert sum(file.stat().st_size for file in folder.glob("*.png")) < TOGETHER
