"""``openstack-image-manager``, which brings images of distributions in by web download."""

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
image = {
    "name": "Tiny",
    "enable": True,
    "shortname": "tiny",
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
(FOLDER / "images").mkdir()
definition = json.dumps({"images": [image]}).replace(f'"{DAY}"', DAY)  # no text
(FOLDER / "images/tiny.yml").write_text(definition)

run("openstack-image-manager", "--images", "images/")
images = openstack.connection.Connection(session=session()).image
(brought,) = images.images(name="Tiny 1")
assert brought.status == "active", brought
assert brought.visibility == "public", brought
assert {"lab", "managed_by_osism", "os:debian"} <= set(brought.tags), brought
assert brought.properties["image_source"] == WEB, brought
done("bring in an image by web-download, with tags and properties")

run("openstack-image-manager", "--images", "images/")
assert [one.id for one in images.images(name="Tiny 1")] == [brought.id]
done("change nothing the second time")
images.delete_image(brought.id)
