"""Cinder's image module: what a volume from an image, and an image from a volume, ask for."""

from __future__ import annotations

import io

from cinder import context
from cinder.common import config
from cinder.image import image_utils
from signing_in import DISK, WEB, done, endpoint, wait
from signing_in import context as signed_in

DATA = DISK.read_bytes()
RAW = {"disk_format": "raw", "container_format": "bare", "visibility": "shared"}

CONF = config.CONF
CONF([], project="cinder", default_config_files=[])
CONF.set_override("glance_api_servers", [endpoint()])
caller = signed_in(context.RequestContext)
glance = image_utils.glance  # which imports image_utils in a circle
images = glance.get_default_image_service()

image = images.create(
    caller, RAW | {"name": "cinder-volume", "properties": {"a": "b"}}
)["id"]
images.update(caller, image, {}, io.BytesIO(DATA), purge_props=False)
shown = images.show(caller, image)
assert (shown["status"], shown["size"]) == ("active", len(DATA)), shown
assert shown["properties"]["a"] == "b", shown
done("make an image of a volume")

stores = images.get_stores(caller)
assert [store["id"] for store in stores["stores"]] == ["fast", "cold", "http"], stores
done("list the stores")

sink = io.BytesIO()
images.download(caller, image, sink)
assert sink.getvalue() == DATA
done("download")

direct, locations = images.get_location(caller, image)
assert direct is None, "the old way of reading locations was used"
assert [location["metadata"] for location in locations] == [{"store": "fast"}]
done("read locations")

located = images.create(
    caller, RAW | {"disk_format": "qcow2", "name": "cinder-location"}
)["id"]
images.add_location(caller, located, WEB, {})
wait(lambda: images.show(caller, located)["status"] == "active")
done("add a location")

assert {image, located} <= {one["id"] for one in images.detail(caller)}
assert list(images.list_members(caller, image)) == []
done("list images and members")

for one in (image, located):
    images.delete(caller, one)
done("delete")
