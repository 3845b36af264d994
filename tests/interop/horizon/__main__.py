"""``python -m tests.interop.horizon``: create, change and delete images in Horizon's panel.

It brings a PostgreSQL, a Keystone, our service behind it, and Horizon, and needs Chromium.
``tests.interop`` starts it, with the files to use in the environment.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keystoneauth1.adapter import Adapter
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session
from playwright.sync_api import Page, expect

from tests import servers
from tests.interop.clients.signing_in import DISK, WEB, done
from tests.interop.horizon.dashboard import dashboard
from tests.interop.horizon.panel import Panel
from tests.keystone import (
    REGION,
    Keystone,
    keystone,
    make_service_user,
    register,
)
from tests.web import allow
from tests.wire.browser import SHOTS, chromium

NAMESPACE = {
    "namespace": "Rack",
    "display_name": "Place in the rack",
    "visibility": "public",
    "properties": {
        "side": {"title": "Side", "type": "string", "enum": ["front", "back"]},
        "unit": {"title": "Unit", "type": "integer", "minimum": 1, "maximum": 42},
        "cooled": {"title": "Cooled", "type": "boolean"},
    },
    "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "rack_"}],
}
# As people write them. Those that begin with hw_ or os_ are among the definitions that come with
# the service, some with other values.
PROPERTIES = {
    "hw_disk_bus": "another",
    "hw_qemu_guest_agent": "yes",
    "hw_boot_menu": "True",
    "hw_cpu_cores": "4",
    "os_distro": "debian",
    "owner_specified.release": "7 of 9",
    "empty": "",
    "Größe": "\N{SNOWMAN} <b>&amp;</b>",
}


@dataclass(frozen=True)
class Rig:
    """Horizon's panel of images, and the API that shows what the panel has changed."""

    api: Adapter
    panel: Panel

    def image(self, name: str) -> dict[str, Any]:
        """The only image of this name."""
        (found,) = self.api.get("/v2/images", params={"name": name}).json()["images"]
        return found

    def shoot(self, name: str) -> None:
        """Take a picture of the page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.panel.page.screenshot(path=SHOTS / f"horizon-{name}.png")


def main() -> None:
    port = servers.free_port()
    with tempfile.TemporaryDirectory(prefix="horizon-") as name:
        folder = Path(name)
        with _service(folder, f"http://127.0.0.1:{port}") as identity:
            for mode, steps in (("legacy", through_horizon), ("direct", directly)):
                with (
                    dashboard(folder / "horizon", identity.url, port, mode) as url,
                    _window() as page,
                ):
                    panel = Panel(page, url, "admin", identity.admin_password)
                    steps(Rig(_api(identity), panel))


@contextlib.contextmanager
def _service(folder: Path, origin: str) -> Iterator[Keystone]:
    """Run our service behind a Keystone, for pages of this origin too; yields the Keystone."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        database = servers.new_database(enter(servers.postgres()))
        identity = enter(keystone(folder / "keystone", database))
        make_service_user(identity)
        settings = identity.for_the_service() | allow(WEB)
        settings |= {"IMAGECATALOG_CORS_ORIGINS": origin}
        service = enter(servers.catalogue(folder, settings))
        register(identity, "image", service.url)
        yield identity


@contextlib.contextmanager
def _window() -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1360, "height": 1000})
        yield page


def _api(identity: Keystone) -> Adapter:
    """The image API, as the user who is signed in to Horizon."""
    auth = Password(
        auth_url=identity.url,
        username="admin",
        password=identity.admin_password,
        project_name="admin",
        user_domain_name="Default",
        project_domain_name="Default",
    )
    return Adapter(Session(auth=auth), service_type="image", region_name=REGION)


def through_horizon(rig: Rig) -> None:
    """Take all steps, with files that the browser sends to Horizon."""
    rig.api.post("/v2/metadefs/namespaces", json=NAMESPACE)
    _create_by_file(rig, "sent")
    _create_by_url(rig)
    _describe(rig, "sent")
    _change_metadata(rig)
    _edit(rig)
    _deactivate(rig)
    _delete(rig)


def directly(rig: Rig) -> None:
    """Create an image from a file that the browser sends to the image service."""
    service = rig.api.get_endpoint()
    with rig.panel.page.expect_request(f"{service}/v2/images/*/file") as sent:
        _create_by_file(rig, "direct")
    assert sent.value.method == "PUT"


def _create_by_file(rig: Rig, name: str) -> None:
    with rig.panel.creating(name, "Raw") as form:
        rig.panel.choose_file(form, DISK)
        rig.shoot(f"{name}-form")
    rig.panel.wait_for(name, "Active")
    rig.shoot(f"{name}-list")
    image = rig.image(name)
    assert (image["disk_format"], image["min_disk"]) == ("raw", 0), image
    data = rig.api.get(f"/v2/images/{image['id']}/file").content
    assert data == DISK.read_bytes()
    done(f"create an image by file ({name})")


def _create_by_url(rig: Rig) -> None:
    with rig.panel.creating("linked", "QCOW2 - QEMU Emulator") as form:
        rig.panel.choose_url(form, WEB)
        rig.shoot("url-form")
    rig.panel.wait_for("linked", "Active")
    image = rig.image("linked")
    assert (image["disk_format"], image["virtual_size"]) == ("qcow2", 4 << 20), image
    assert [location["url"] for location in image["locations"]] == [WEB], image
    done("create an image by URL")


def _change_metadata(rig: Rig) -> None:
    before, title = rig.image("sent"), NAMESPACE["display_name"]
    with rig.panel.metadata("sent") as form:
        shipped = form.get_by_text("Operating system", exact=True)
        expect(shipped).to_be_visible()
        rig.panel.add_defined(form, title, "Side", "Unit")
        rig.panel.defined(form, "rack_side").select_option(label="back")
        rig.panel.defined(form, "rack_unit").fill("7")
        rig.shoot("metadata")
    _assert_changed(rig, before, rack_side="back", rack_unit="7")
    done("set properties that are defined, and change no other one")


def _edit(rig: Rig) -> None:
    before = rig.image("sent")
    with rig.panel.editing("sent", "edited") as form:
        form.locator("#imageForm-min_disk").fill("3")
        form.locator("label.btn", has_text="Community").click()
        rig.shoot("edit")
    rig.panel.wait_for("edited", "Community")
    _assert_changed(rig, before, name="edited", min_disk=3, visibility="community")
    done("edit name, smallest disk and visibility, and lose no property")


def _deactivate(rig: Rig) -> None:
    rig.panel.deactivate("edited")
    rig.panel.wait_for("edited", "Deactivated")
    assert rig.image("edited")["status"] == "deactivated"
    rig.panel.reactivate("edited")
    rig.panel.wait_for("edited", "Active")
    assert rig.image("edited")["status"] == "active"
    done("deactivate and reactivate")


def _delete(rig: Rig) -> None:
    image = rig.image("edited")["id"]
    rig.panel.delete("edited")
    found = rig.api.get(f"/v2/images/{image}", raise_exc=False)
    assert found.status_code == 404, found.text
    done("delete")


def _describe(rig: Rig, name: str) -> None:
    """Give an image the properties that Horizon has to keep."""
    path = f"/v2/images/{rig.image(name)['id']}"
    operations = [
        {"op": "add", "path": f"/{key}", "value": value}
        for key, value in PROPERTIES.items()
    ]
    kind = "application/openstack-images-v2.1-json-patch"
    rig.api.patch(path, json=operations, headers={"Content-Type": kind})


def _assert_changed(rig: Rig, before: dict[str, Any], **expected: object) -> None:
    """Assert that this has changed of an image, and nothing else."""
    after = rig.api.get(f"/v2/images/{before['id']}").json()
    assert after == before | expected | {"updated_at": after["updated_at"]}, after


if __name__ == "__main__":
    main()
