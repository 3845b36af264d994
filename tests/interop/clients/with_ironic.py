"""Ironic's image module: what the deployment of a machine asks for."""

from __future__ import annotations

import datetime
import hashlib
import io
import tempfile

import openstack
from ironic.common import checksum_utils, context, image_service
from ironic.conf import CONF
from signing_in import CREDENTIALS, DISK, REGION, done, session, wait
from tree import CERTIFICATE, FILES, PUB, VERSIONS, file_name, url

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

# Without Glance: an image of the published tree, and its digest from the file beside it.
CONF.set_override("webserver_verify_ca", CERTIFICATE)
family, label = VERSIONS[0]
data = FILES[file_name(family, label)]
source = url(family, label)
plain = image_service.HttpImageService()
shown = plain.show(source)
assert shown["size"] == len(data), shown
assert shown["updated_at"] <= datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
assert not shown["no_cache"], shown
done("show a published image")

for sums, digest in (("SHA256SUMS", "sha256"), ("SHA512SUMS", "sha512")):
    wanted = {
        "image_source": source,
        "image_checksum": f"{PUB}/images/{family}/{label}/{sums}",
    }
    checksum, algorithm = checksum_utils.get_checksum_and_algo(wanted)
    assert (checksum, algorithm) == (hashlib.new(digest, data).hexdigest(), digest)
    sink = io.BytesIO()
    plain.download(source, sink, checksum=checksum, checksum_algo=algorithm)
    assert sink.getvalue() == data
    assert plain.transfer_verified_checksum == f"{digest}:{checksum}"
done("download a published image and compare with the published digest")
