"""A service over TLS with a signed published tree: two families of three versions each."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import requests
from cryptography import x509

from images.publishing import signing
from tests import certificates, debian, environments, qemu, servers
from tests.servers import Service

FAMILIES = ("debian-13", "alma-9")
LABELS = ("20260131", "20260228", "20260331")
PASSWORD = "without-marks-that-URLs-escape"  # which sstream-mirror would not decode
USER = "Images <images@example.org>"
MIB = 1 << 20
OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class TreeService:
    """The running service, and what clients of its published tree need."""

    service: Service
    url: str  # the top of the tree, without a slash at its end
    certificate: Path  # of the service
    images: Path  # the folder with what was uploaded: FAMILY-LABEL.qcow2
    keyring: Path  # of gpgv, with the public key that signs the tree

    def environ(self, folder: Path) -> dict[str, str]:
        """The environment of a client with its own folder, which is also its home."""
        programs = environments.programs("simplestreams")
        debians = debian.environ()
        own = {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            "PATH": f"{programs}:{debians.pop('PATH')}",
            "SSL_CERT_FILE": str(self.certificate),
            "CURL_CA_BUNDLE": str(self.certificate),
            "REQUESTS_CA_BUNDLE": str(self.certificate),
            "INTEROP_PUB": self.url,
            "INTEROP_USERNAME": self.service.username,
            "INTEROP_PASSWORD": self.service.password,
            "INTEROP_IMAGES": str(self.images),
            "INTEROP_KEYRING": str(self.keyring),
            "INTEROP_FOLDER": str(folder),
        }
        return environments.environ(**debians, **own)

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request to an API as the admin, and return the answer, which must be a success."""
        answer = requests.request(
            method,
            f"{self.service.url}/{path}",
            auth=self.service.auth,
            verify=str(self.certificate),
            timeout=60,
            **options,
        )
        assert answer.ok, answer.text
        return answer

    def is_complete(self) -> bool:
        """Whether the signed indexes have all versions, the last ones as the current ones."""
        versions = self._index("streams/v1/images.sjson")
        current = self._index("index.asc")
        return all(
            f"/{family}-{label}.qcow2" in (current if label == LABELS[-1] else versions)
            for family, label in _versions()
        )

    def _index(self, path: str) -> str:
        """The text of an index of the tree; empty if there is none."""
        answer = requests.get(
            f"{self.url}/{path}", verify=str(self.certificate), timeout=60
        )
        return answer.text if answer.ok else ""


@contextlib.contextmanager
def tree_service(folder: Path, mode: str = "public") -> Iterator[TreeService]:
    """Run the service with published families, and wait until the indexes have every version.

    The last version of each family is the current one. ``mode`` is that of IMAGECATALOG_PUBLISH.
    With "signed-in" the ``url`` has the name and password of the admin.
    """
    files = certificates.make(folder, x509.IPAddress(ip_address("127.0.0.1")))
    images = _disks(folder / "uploaded")
    env = {
        "IMAGECATALOG_ADMIN_PASSWORD": PASSWORD,
        "IMAGECATALOG_PUBLISH": mode,
        "IMAGECATALOG_PUBLISH_KEY": str(folder / "key"),
    }
    options = ["--certfile", files.certificate, "--keyfile", files.key]
    start = servers.catalogue(folder, env, workers=1, options=options, scheme="https")
    signing.create(folder / "key", USER)
    with start as service:
        service = replace(service, password=PASSWORD)
        url = f"{service.url}/pub"
        if mode == "signed-in":
            url = url.replace("://", f"://{service.username}:{PASSWORD}@")
        keyring = folder / "keyring.gpg"
        tree = TreeService(service, url, files.certificate, images, keyring)
        _dearmor(folder / "key" / "public-key.asc", tree.keyring)
        for family in FAMILIES:
            _publish(tree, family)
        servers.wait_until(tree.is_complete, "the publication", 60, log=service.log)
        yield tree


def _disks(folder: Path) -> Path:
    """A folder with disks of several MiB of data, each of another size."""
    folder.mkdir()
    for number, (family, label) in enumerate(_versions()):
        name = f"{family}-{label}"
        (folder / name).write_bytes(os.urandom(5 * MIB))
        os.truncate(folder / name, (8 + number) * MIB)
        qemu.qemu_img("convert", "-O", "qcow2", name, f"{name}.qcow2", cwd=folder)
        (folder / name).unlink()
    return folder


def _versions() -> list[tuple[str, str]]:
    return [(family, label) for family in FAMILIES for label in LABELS]


def _dearmor(key: Path, keyring: Path) -> None:
    command = ["gpg", "--batch", "--output", keyring, "--dearmor", key]
    subprocess.run(command, check=True)


def _publish(tree: TreeService, family: str) -> None:
    """Create a family, and upload, add and promote its versions in turn."""
    families = "catalog/v1/families"
    system, _, release = family.partition("-")
    document = {"name": family, "architecture": "x86_64", "scope": "public"}
    tree.ask("POST", families, json=document | {"publish": True})
    for label in LABELS:
        fields = {
            "name": family,
            "disk_format": "qcow2",
            "container_format": "bare",
            "visibility": "public",
            "os_distro": system,
            "os_version": release,
            "image_build_date": f"{label[:4]}-{label[4:6]}-{label[6:]}",
        }
        image = tree.ask("POST", "v2/images", json=fields).json()["id"]
        data = (tree.images / f"{family}-{label}.qcow2").read_bytes()
        tree.ask("PUT", f"v2/images/{image}/file", data=data, headers=OCTETS)
        version = {"image": image, "promote": True}
        tree.ask("POST", f"{families}/{family}/versions", json=version)
