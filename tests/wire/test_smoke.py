"""The whole house once, on every kind of backend: create, upload, download, delete."""

from __future__ import annotations

import hashlib

import requests

from tests.servers import Service


def test_what_is_uploaded_in_chunks_comes_back_unchanged(catalogue: Service) -> None:
    blocks = [bytes([number]) * 300_000 for number in range(10)]
    with requests.Session() as session:
        session.auth = catalogue.auth
        image = session.post(
            f"{catalogue.url}/v2/images",
            json={"name": "smoke", "container_format": "bare", "disk_format": "raw"},
        )
        assert image.status_code == 201, image.text
        url = image.headers["Location"]

        sent = session.put(
            f"{url}/file",
            data=iter(blocks),
            headers={"Content-Type": "application/octet-stream"},
        )
        assert sent.status_code == 204, sent.text

        shown = session.get(url).json()
        assert shown["status"] == "active"
        assert shown["os_hash_value"] == hashlib.sha512(b"".join(blocks)).hexdigest()
        assert session.get(f"{url}/file").content == b"".join(blocks)
        assert session.delete(url).status_code == 204


def test_a_wrong_password_is_refused(any_catalogue: Service) -> None:
    answer = requests.get(f"{any_catalogue.url}/v2/images", auth=("admin", "wrong"))

    assert answer.status_code == 401


def test_management_commands_work_on_a_running_catalogue(catalogue: Service) -> None:
    assert catalogue.manage("image_scrub", "--help")
