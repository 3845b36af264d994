"""Nova's image module: what an instance's boot and its snapshot ask for."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from nova import conf, context, exception
from nova.image import glance
from signing_in import DISK, WEB, done, endpoint, wait
from signing_in import context as signed_in

DATA = DISK.read_bytes()

conf.CONF([], project="nova", default_config_files=[])
conf.CONF.set_override("endpoint_override", endpoint(), "glance")
caller = signed_in(context.RequestContext)
images = glance.API()

shown = images.create(
    caller,
    {
        "name": "nova-snapshot",
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": "private",
        "properties": {"base_image_ref": "x", "hw_qemu_guest_agent": True},
    },
)
assert shown["status"] == "queued", shown
done("reserve the image of a snapshot")

image = shown["id"]
service, image = glance.get_remote_image_service(caller, image)
service.update(
    caller, image, {"properties": {"os_type": "linux"}}, io.BytesIO(DATA), False
)
shown = images.get(caller, image)
assert (shown["status"], shown["size"]) == ("active", len(DATA)), shown
assert shown["properties"]["os_type"] == "linux", shown
assert shown["properties"]["base_image_ref"] == "x", shown
done("send its data and change properties")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "disk")
    images.download(caller, image, dest_path=str(path))
    assert path.read_bytes() == DATA
done("download")

located = images.get(caller, image, include_locations=True)
urls = {location["url"] for location in located["locations"]}
assert urls == {located["direct_url"]}, located
done("read locations")

images.copy_image_to_store(caller, image, "cold")
wait(lambda: images.get(caller, image, include_locations=True)["stores"] == "fast,cold")
done("copy to another store")

# As a snapshot in a backend that Nova writes to by itself.
located = images.create(
    caller,
    {
        "name": "nova-location",
        "disk_format": "qcow2",
        "container_format": "bare",
        "location": WEB,
    },
)["id"]
wait(lambda: images.get(caller, located)["status"] == "active")
shown = images.get(caller, located, include_locations=True)
assert {location["url"] for location in shown["locations"]} == {WEB}, shown
done("create an image with a location")

reserved = images.create(
    caller,
    {"name": "nova-later", "disk_format": "qcow2", "container_format": "bare"},
)["id"]
images.update(caller, reserved, {"location": WEB}, purge_props=False)
wait(lambda: images.get(caller, reserved)["status"] == "active")
done("add a location")

# Its metadata is all there is of a snapshot of an instance that boots from a volume.
empty = images.create(caller, {"name": "nova-volume-snapshot", "size": 0})
assert (empty["status"], empty["size"]) == ("active", 0), empty
done("make the image of a snapshot of volumes")

shared = images.create(
    caller,
    {
        "name": "nova-shared",
        "visibility": "shared",
        "properties": {"instance_owner": "project-of-the-instance"},
    },
)["id"]
members = images._get_session(caller)._client.call(
    caller, 2, "list", controller="image_members", args=(shared,)
)
assert [one.member_id for one in members] == ["project-of-the-instance"]
done("share an image with a project")

assert image in [
    one["id"] for one in images.get_all(caller, filters={"name": "nova-snapshot"})
]
done("list with a filter")

for one in (located, reserved, empty["id"], shared):
    images.delete(caller, one)
images.delete(caller, image)
with contextlib.suppress(exception.ImageNotFound):
    images.get(caller, image)
    raise AssertionError("the deleted image is still there")
done("delete")
