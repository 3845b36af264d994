"""The ``openstack`` command, unchanged, through the whole life of an image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Service
from tests.wire.clients import Clients
from tests.wire.evidence import Evidence

MIB = 1 << 20

Openstack = Callable[..., Any]


def client(clients: Clients, service: Service, user: tuple[str, str]) -> Openstack:
    """``openstack("image", "show", id)``: what it prints, from JSON; AssertionError if it fails."""
    env = {name: value for name, value in os.environ.items() if name[:3] != "OS_"}
    env |= {"OS_AUTH_TYPE": "http_basic", "OS_ENDPOINT": f"{service.url}/v2"}
    env |= {"OS_USERNAME": user[0], "OS_PASSWORD": user[1]}

    def openstack(*words: str | Path) -> Any:
        done = clients.run("openstack", *words, env=env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "json" in words else None

    return openstack


@pytest.fixture
def openstack(clients: Clients, catalogue: Service) -> Openstack:
    return client(clients, catalogue, catalogue.auth)


@pytest.fixture(scope="module")
def qcow2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    folder = tmp_path_factory.mktemp("qcow2")
    raw, path = folder / "disk.raw", folder / "disk.qcow2"
    raw.write_bytes(os.urandom(MIB))
    os.truncate(raw, 100 * MIB)
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path]
    subprocess.run(convert, check=True)
    return path


def create(openstack: Openstack, path: Path, disk_format: str, *more: str) -> Any:
    words = ["--disk-format", disk_format, "--container-format", "bare"]
    words += ["--file", str(path), *more, path.name, "-f", "json"]
    return openstack("image", "create", *words)


def show(openstack: Openstack, image_id: str) -> Any:
    return openstack("image", "show", image_id, "-f", "json")


def test_a_large_sparse_raw_file_comes_back_unchanged(
    openstack: Openstack, tmp_path: Path
) -> None:
    sent, saved = tmp_path / "disk.raw", tmp_path / "saved"
    sent.write_bytes(os.urandom(3 * MIB))
    os.truncate(sent, 64 * MIB)

    image = create(openstack, sent, "raw")
    openstack("image", "save", "--file", saved, image["id"])

    assert (image["status"], image["size"]) == ("active", 64 * MIB)
    assert saved.read_bytes() == sent.read_bytes()


def test_an_image_is_described_and_found(openstack: Openstack, qcow2: Path) -> None:
    image_id = create(openstack, qcow2, "qcow2", "--property", "os=linux")["id"]
    openstack("image", "set", "--property", "kernel=6.12", "--tag", "green", image_id)
    openstack("image", "unset", "--property", "os", image_id)

    shown = show(openstack, image_id)
    found = openstack("image", "list", "--tag", "green", "-f", "json")
    assert (shown["status"], shown["virtual_size"]) == ("active", 100 * MIB)
    assert (shown["properties"]["kernel"], shown["tags"]) == ("6.12", ["green"])
    assert "os" not in shown["properties"]
    assert image_id in [image["ID"] for image in found]


def test_the_data_of_a_deactivated_image_is_withheld(
    clients: Clients,
    catalogue: Service,
    openstack: Openstack,
    member: tuple[str, str],
    qcow2: Path,
    tmp_path: Path,
) -> None:
    guest, saved = client(clients, catalogue, member), tmp_path / "saved"
    image_id = create(openstack, qcow2, "qcow2", "--public")["id"]

    openstack("image", "set", "--deactivate", image_id)
    # This client reports the refusal as data with a wrong checksum.
    with pytest.raises(AssertionError, match="Unable to download image"):
        guest("image", "save", "--file", saved, image_id)
    assert "has been deactivated" in saved.read_text()

    openstack("image", "set", "--activate", image_id)
    guest("image", "save", "--file", saved, image_id)
    assert saved.read_bytes() == qcow2.read_bytes()


def test_a_deleted_image_is_restored_and_deleted_for_good(
    catalogue: Service,
    openstack: Openstack,
    evidence: Evidence,
    qcow2: Path,
    tmp_path: Path,
) -> None:
    saved = tmp_path / "saved"
    details = ["--property", "os=linux", "--tag", "green"]
    image_id = create(openstack, qcow2, "qcow2", *details)["id"]
    before = show(openstack, image_id)

    openstack("image", "delete", image_id)
    assert evidence.status(image_id) == "pending_delete"
    with pytest.raises(AssertionError, match="No Image found"):
        show(openstack, image_id)

    catalogue.manage("image_restore", image_id)
    openstack("image", "save", "--file", saved, image_id)
    assert saved.read_bytes() == qcow2.read_bytes()
    assert show(openstack, image_id) == before | {
        "updated_at": show(openstack, image_id)["updated_at"]
    }

    openstack("image", "delete", image_id)
    at_once = catalogue.env | {"IMAGECATALOG_SCRUB_TIME": "0"}
    replace(catalogue, env=at_once).manage("image_scrub")
    assert evidence.status(image_id) == "deleted"
    assert evidence.files(image_id) == []
