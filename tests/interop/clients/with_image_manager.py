"""``openstack-image-manager``, which brings images of distributions in.

The service downloads them, or the manager with aria2, to stage them.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request

import openstack
from signing_in import CREDENTIALS, FOLDER, REGION, WEB, done, run, session

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
