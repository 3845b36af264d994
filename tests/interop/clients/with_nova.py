"""Nova's image module: what an instance's boot and its snapshot ask for."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from nova import conf, context, exception
from nova.image import glance
from signing_in import DISK, done, endpoint, wait
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

assert image in [
    one["id"] for one in images.get_all(caller, filters={"name": "nova-snapshot"})
]
done("list with a filter")

images.delete(caller, image)
with contextlib.suppress(exception.ImageNotFound):
    images.get(caller, image)
    raise AssertionError("the deleted image is still there")
done("delete")
