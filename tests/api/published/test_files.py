"""``/pub/images/``: the files of versions, and the folder of the current one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.api.published.conftest import work

FOLDER = "/pub/images/debian-13/20260101/"
FILE = f"{FOLDER}debian-13-20260101.qcow2"
CURRENT = "/pub/images/debian-13/current/debian-13.qcow2"
DATA = b"the bytes of January"


@pytest.fixture
def january(family: Any, add: Any) -> Any:
    family()
    image = add("20260101", DATA)
    work()
    return image


def body(response: Any) -> bytes:
    return b"".join(response) if response.streaming else response.content


def test_a_file_of_a_version_has_everything_that_clients_and_caches_need(
    visitor: Any, january: Any
) -> None:
    response = visitor.get(FILE)

    digest = hashlib.sha256(DATA)
    assert response.status_code == 200, response.content
    assert body(response) == DATA
    assert response.headers["ETag"] == f'"sha256-{digest.hexdigest()}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Length"] == str(len(DATA))
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Last-Modified" in response.headers
    assert response.headers["Repr-Digest"].startswith("sha-256=:")
    assert (
        'filename="debian-13-20260101.qcow2"' in response.headers["Content-Disposition"]
    )
    assert not response.cookies


def test_the_checksum_files_agree_with_the_files(visitor: Any, january: Any) -> None:
    for name, algorithm in (("SHA256SUMS", "sha256"), ("SHA512SUMS", "sha512")):
        lines = visitor.get(f"{FOLDER}{name}").content.decode().splitlines()
        assert len(lines) == 3
        for line in lines:
            digest, file = line.split("  ")
            content = body(visitor.get(f"{FOLDER}{file}"))
            assert hashlib.new(algorithm, content).hexdigest() == digest
    digest = hashlib.sha256(DATA).hexdigest()
    expected = f"{digest}  debian-13-20260101.qcow2\n".encode()
    assert visitor.get(f"{FILE}.sha256").content == expected


def test_the_document_shows_neither_owner_nor_locations(
    visitor: Any, january: Any
) -> None:
    document = visitor.get(f"{FOLDER}meta.json").json()

    assert document["id"] == january.pk
    assert not {"owner", "locations", "direct_url", "stores"} & document.keys()


def test_the_indexes_list_the_version(visitor: Any, january: Any) -> None:
    (shown,) = visitor.get("/pub/index.json").json()["families"]

    assert shown["current"] == "20260101"
    assert shown["versions"][0]["sha256"] == hashlib.sha256(DATA).hexdigest()
    images = visitor.get("/pub/streams/v1/images.json").json()
    assert list(images["products"]) == ["imagecatalog:debian-13:amd64"]
    assert b"[debian-13]" in visitor.get("/pub/index").content


def test_pages_list_one_link_for_each_entry(visitor: Any, january: Any) -> None:
    for path in (
        "/pub/",
        "/pub/images/",
        "/pub/images/debian-13/",
        FOLDER,
        "/pub/streams/",
        "/pub/streams/v1/",
        "/pub/images/debian-13/current/",
    ):
        page = visitor.get(path)
        assert page.status_code == 200, path
        assert page.headers["Content-Type"].startswith("text/html")
    assert b'href="debian-13-20260101.qcow2"' in visitor.get(FOLDER).content
    assert json.loads(visitor.get("/pub/streams/v1/index.json").content)
