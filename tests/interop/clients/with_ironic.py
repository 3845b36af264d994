"""Ironic's image module: what the deployment of a machine asks for."""

from __future__ import annotations

import hashlib
import io
import tempfile

import openstack
from ironic.common import context, image_service
from ironic.conf import CONF
from signing_in import CREDENTIALS, DISK, REGION, done, session, wait

DATA = DISK.read_bytes()
SHA512 = hashlib.sha512(DATA).hexdigest()

SETTINGS = {"auth_type": "password", "region_name": REGION, **CREDENTIALS}
with tempfile.NamedTemporaryFile("w") as file:
    file.write("[glance]\n")
    file.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())
    file.flush()
    CONF([], project="ironic", default_config_files=[file.name])

connection = openstack.connection.Connection(session=session(), region_name=REGION)
image = connection.image.create_image(
    name="ironic-deploy",
    disk_format="raw",
    container_format="bare",
    visibility="public",
    data=DATA,
)
wait(lambda: connection.image.get_image(image.id).status == "active")

images = image_service.GlanceImageService(context=context.RequestContext())
shown = images.show(image.id)
assert (shown["status"], shown["size"]) == ("active", len(DATA)), shown
assert shown["properties"]["hash_algo"] == "sha512", shown
done("show")

sink = io.BytesIO()
images.download(image.id, sink)
assert sink.getvalue() == DATA
done("download")

sink = io.BytesIO()
images.download(image.id, sink, checksum=SHA512, checksum_algo="sha512")
assert sink.getvalue() == DATA
assert images.transfer_verified_checksum == f"sha512:{SHA512}"
done("download and compare with the digest")

connection.image.delete_image(image.id)
