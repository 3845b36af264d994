"""``openstack-image-manager``, which brings images of distributions in.

The service downloads them, or the manager with aria2, to stage them.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request

import openstack
from signing_in import (
    CREDENTIALS,
    FOLDER,
    REGION,
    WEB,
    catalogue,
    done,
    preview,
    run,
    session,
)

DAY = "2026-01-01"

with urllib.request.urlopen(WEB) as answer:
    digest = hashlib.sha256(answer.read()).hexdigest()
# JSON is YAML.
(FOLDER / "clouds.yaml").write_text(
    json.dumps(
        {
            "clouds": {
                "openstack": {
                    "auth": CREDENTIALS,
                    "region_name": REGION,
                }
            }
        }
    )
)
IMAGE = {
    "enable": True,
    "format": "qcow2",
    "login": "tiny",
    "min_disk": 1,
    "min_ram": 64,
    "status": "active",
    "visibility": "public",
    "multi": False,
    "meta": {
        "architecture": "x86_64",
        "hw_disk_bus": "virtio",
        "hypervisor_type": "qemu",
        "os_distro": "debian",
        "os_version": "12",
        "os_purpose": "generic",
        "replace_frequency": "never",
        "uuid_validity": "none",
        "provided_until": "none",
    },
    "tags": ["lab"],
    "versions": [
        {
            "version": "1",
            "url": WEB,
            "checksum": f"sha256:{digest}",
            "build_date": DAY,
        }
    ],
}
client = openstack.connection.Connection(session=session()).image


def manage(name: str, *options: str) -> str:
    """Let the manager bring an image in; return the id of the image."""
    image = IMAGE | {"name": name, "shortname": name.lower()}
    definition = json.dumps({"images": [image]}).replace(f'"{DAY}"', DAY)  # no text
    (FOLDER / f"{name}.yml").write_text(definition)
    run("openstack-image-manager", "--images", f"{name}.yml", *options)
    (brought,) = client.images(name=f"{name} 1")
    assert brought.status == "active", brought
    assert brought.visibility == "public", brought
    assert {"lab", "managed_by_osism", "os:debian"} <= set(brought.tags), brought
    assert brought.properties["image_source"] == WEB, brought
    return brought.id


def method(image_id: str) -> str:
    """The method by which the data of an image came in."""
    (task,) = client.image_tasks(image_id)
    found: str = task.input["import_req"]["method"]["name"]
    return found


first = manage("Tiny")
assert method(first) == "web-download"
done("bring in an image by web-download, with tags and properties")

assert manage("Tiny") == first
done("change nothing the second time")

second = manage("Staged", "--prefetch", "always", "--filter", "Staged")
assert method(second) == "glance-direct"
done("bring in an image by glance-direct")

for one in (first, second):
    client.delete_image(one)


def manage_kept(number: int, *options: str) -> None:
    """Let the manager bring in the newest of so many versions of an image that keeps the last three."""
    versions = [
        {**IMAGE["versions"][0], "version": str(it), "build_date": f"2026-01-0{it}"}
        for it in range(1, number + 1)
    ]
    image = IMAGE | {"name": "Kept", "shortname": "kept", "multi": True}
    image |= {"versions": versions, "meta": IMAGE["meta"] | {"uuid_validity": "last-3"}}
    definition = json.dumps({"images": [image]})
    for it in range(1, number + 1):
        definition = definition.replace(f'"2026-01-0{it}"', f"2026-01-0{it}")
    (FOLDER / "kept.yml").write_text(definition)
    run("openstack-image-manager", "--images", "kept.yml", *options)


def kept() -> set[str]:
    return {it.id for it in client.images() if (it.name or "").startswith("Kept")}


for number in range(1, 6):
    manage_kept(number)
assert len(kept()) == 5, kept()
catalogue(
    "POST",
    "retention",
    {
        "name": "kept",
        "scope": {"everything": True},
        "select": {"name": "Kept*"},
        "group_by": "property:image_description",
        "keep": {"until_property": "uuid_validity"},
        "actions": [{"delete": "0d"}],
    },
)
decisions = preview("kept")["decisions"]
ours = {it["image"] for it in decisions if it["decision"] == "keep"}
assert len(ours) == 3, decisions
manage_kept(5, "--delete", "--yes-i-really-know-what-i-do", "--filter", "Kept")
assert kept() == ours, (kept(), ours)
done(
    "delete outdated images: those stay that a retention policy keeps by uuid_validity"
)

for one in ours:
    client.delete_image(one)
