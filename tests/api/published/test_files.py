"""``/pub/images/``: the files of versions, and the folder of the current one."""

from __future__ import annotations

import hashlib
import re
from html import unescape
from typing import Any
from urllib.parse import urljoin

import pytest

from images import errors, lifecycle
from images.attributes import Changes
from images.stores.local import LocalStore
from tests.api.published.conftest import COMMAND, JANUARY, work

FOLDER = "/pub/images/debian-13/20260101/"
FILE = f"{FOLDER}debian-13-20260101.qcow2"
CURRENT = "/pub/images/debian-13/current/debian-13.qcow2"

pytestmark = pytest.mark.once


def body(response: Any) -> bytes:
    return b"".join(response) if response.streaming else response.content


def test_a_file_of_a_version_has_everything_that_clients_and_caches_need(
    visitor: Any, january: Any
) -> None:
    response = visitor.get(FILE)

    digest = hashlib.sha256(JANUARY)
    assert response.status_code == 200, response.content
    assert body(response) == JANUARY
    assert response.headers["ETag"] == f'"sha256-{digest.hexdigest()}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Length"] == str(len(JANUARY))
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
        assert len(lines) == 2
        for line in lines:
            digest, file = line.split("  ")
            content = body(visitor.get(f"{FOLDER}{file}"))
            assert hashlib.new(algorithm, content).hexdigest() == digest
    digest = hashlib.sha256(JANUARY).hexdigest()
    expected = f"{digest}  debian-13-20260101.qcow2\n".encode()
    assert visitor.get(f"{FILE}.sha256").content == expected


def test_the_document_shows_neither_owner_nor_locations(
    visitor: Any, january: Any
) -> None:
    document = visitor.get(f"{FOLDER}meta.json").json()

    assert document["id"] == january.pk
    assert not {"owner", "locations", "direct_url", "stores"} & document.keys()


def test_a_promotion_leaves_the_files_of_other_versions_as_they_are(
    visitor: Any, january: Any, add: Any
) -> None:
    names = ("meta.json", "meta.tar.xz", "SHA256SUMS")
    before = [visitor.get(f"{FOLDER}{name}").content for name in names]
    add("20260201", b"February")
    work()

    assert [visitor.get(f"{FOLDER}{name}").content for name in names] == before


def test_the_indexes_list_the_version(visitor: Any, january: Any) -> None:
    (shown,) = visitor.get("/pub/index.json").json()["families"]

    assert shown["current"] == "20260101"
    assert shown["versions"][0]["sha256"] == hashlib.sha256(JANUARY).hexdigest()
    images = visitor.get("/pub/streams/v1/images.json").json()
    assert list(images["products"]) == ["imagecatalog:debian-13:amd64"]
    assert b"[debian-13]" in visitor.get("/pub/index").content


PAGES = (
    "/pub/",
    "/pub/images/",
    "/pub/images/debian-13/",
    "/pub/images/debian-13/current/",
    "/pub/streams/",
    "/pub/streams/v1/",
    FOLDER,
)


@pytest.mark.parametrize("path", PAGES)
def test_the_links_of_a_page_lead_to_what_is_there(
    path: str, visitor: Any, january: Any
) -> None:
    page = visitor.get(path)

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    found = re.findall(r'<a [^>]*href="([^"#]+)"', page.content.decode())
    links = [it for it in found if "://" not in it]
    assert links
    for link in links:
        assert visitor.get(urljoin(path, unescape(link))).status_code == 200, link


@pytest.mark.parametrize("path", [*PAGES[1:], "/pub/"])
def test_a_folder_without_its_slash_leads_to_the_folder(
    path: str, visitor: Any, january: Any
) -> None:
    response = visitor.get(path.removesuffix("/"))

    assert (response.status_code, response.headers["Location"]) == (301, path)


@pytest.mark.parametrize(
    "path",
    [
        "/pub/images/debian-14/",
        "/pub/images/debian-13/20260102/",
        f"{FOLDER}other.qcow2",
        f"{FOLDER}../20260101/meta.json",
        "/pub/streams/v1/none.json",
        "/pub/index.asc",
        "/pub//",
        "/pub/%00",
        "/pub/project/project-a/",
    ],
)
def test_what_is_not_published_is_not_found(
    path: str, visitor: Any, january: Any
) -> None:
    assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(method: str, visitor: Any, january: Any) -> None:
    response = getattr(visitor, method)(FILE)

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


# Conditions and ranges


def test_a_date_does_not_hide_that_the_description_of_an_image_has_changed(
    visitor: Any, january: Any
) -> None:
    path = f"{FOLDER}meta.json"
    since = {"If-Modified-Since": visitor.get(FILE).headers["Last-Modified"]}
    lifecycle.update(january.pk, Changes(properties={"colour": "red"}), COMMAND)

    assert visitor.get(path, headers=since).json()["colour"] == "red"


@pytest.mark.parametrize(
    "path", [FILE, CURRENT, f"{FOLDER}SHA256SUMS", "/pub/index.json"]
)
def test_head_has_the_headers_of_get(path: str, visitor: Any, january: Any) -> None:
    whole, described = visitor.get(path), visitor.head(path)

    assert described.status_code == 200
    names = ("Content-Length", "Last-Modified", "ETag", "Repr-Digest")
    assert all(whole.headers[it] == described.headers[it] for it in names)
    assert body(described) == b""


@pytest.mark.parametrize(
    "path", [FILE, CURRENT, f"{FOLDER}SHA256SUMS", "/pub/", "/pub/index"]
)
def test_a_client_that_has_the_state_gets_nothing(
    path: str, visitor: Any, january: Any
) -> None:
    first = visitor.get(path)
    again = visitor.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, body(again)) == (304, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [(FILE, 304), (f"{FOLDER}SHA256SUMS", 304), (CURRENT, 200), ("/pub/index", 200)],
)
def test_a_date_is_a_condition_only_for_what_never_changes(
    path: str, status: int, visitor: Any, january: Any
) -> None:
    since = {"If-Modified-Since": visitor.get(path).headers["Last-Modified"]}
    old = {"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"}

    assert visitor.get(path, headers=since).status_code == status
    assert visitor.get(path, headers=old).status_code == 200


def test_a_range_of_a_version_is_sent(visitor: Any, january: Any) -> None:
    part = visitor.get(FILE, headers={"Range": "bytes=4-8"})
    beyond = visitor.get(FILE, headers={"Range": "bytes=900-"})

    assert (part.status_code, body(part)) == (206, JANUARY[4:9])
    assert part.headers["Content-Range"] == f"bytes 4-8/{len(JANUARY)}"
    assert beyond.status_code == 416


def test_a_range_of_another_state_is_not_sent(visitor: Any, january: Any) -> None:
    ranged = {"Range": "bytes=4-8", "If-Range": '"sha256-0"'}

    assert body(visitor.get(FILE, headers=ranged)) == JANUARY


def test_a_range_of_the_current_file_needs_if_range(visitor: Any, january: Any) -> None:
    whole = visitor.get(CURRENT, headers={"Range": "bytes=4-8"})
    ranged = {"Range": "bytes=4-8", "If-Range": whole.headers["ETag"]}
    part = visitor.get(CURRENT, headers=ranged)

    assert (whole.status_code, body(whole)) == (200, JANUARY)
    assert whole.headers["Content-Location"] == FILE
    assert whole.headers["Cache-Control"] == "public, no-cache"
    assert (part.status_code, body(part)) == (206, JANUARY[4:9])


def test_a_client_chooses_the_digest(visitor: Any, january: Any) -> None:
    response = visitor.get(FILE, headers={"Want-Repr-Digest": "sha-512=9, sha-256=1"})

    assert response.headers["Repr-Digest"].startswith("sha-512=:")


# Stores


def test_the_indexes_go_on_without_the_store(
    visitor: Any, january: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise errors.StoreError("The store does not answer.")

    monkeypatch.setattr(LocalStore, "open", fail)
    response = visitor.get(FILE)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert visitor.get("/pub/index.json").status_code == 200


def test_a_damaged_copy_is_not_sent(visitor: Any, january: Any) -> None:
    january.locations.update(damage="another digest")

    assert visitor.get(FILE).status_code == 503
