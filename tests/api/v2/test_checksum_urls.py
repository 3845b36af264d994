"""Imports whose data must have the digest that a checksum file on a web server states."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from images import errors
from images.imports import checksum_file, queue
from images.models import Image, Transfer
from images.operations import consistency
from tests.api.v2.conftest import DATA
from tests.copies import waiting_copies, work
from tests.rows import status
from tests.web import allow_in_process, serving, serving_files

SHA256 = hashlib.sha256(DATA).hexdigest()
SHA512 = hashlib.sha512(DATA).hexdigest()
WRONG = "0" * 64
DIRECT = {"name": "glance-direct"}


@pytest.fixture
def publish(web: str, tmp_path: Path) -> Callable[[bytes | str], str]:
    """``publish("…  disk.raw")``: the URL of a checksum file with this text."""

    def write(content: bytes | str) -> str:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / "web" / "SHA256SUMS").write_bytes(data)
        return f"{web}/SHA256SUMS"

    return write


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of a web server that has DATA as ``disk.raw``."""
    files = {"disk.raw": DATA}
    with serving_files(tmp_path / "web", settings, **files) as url:
        yield url


def ask(client: Client, image: Image, **body: Any) -> Any:
    """Request an import with these members."""
    path = f"/v2/images/{image.pk}/import"
    return client.post(path, json.dumps(body), content_type="application/json")


def task(client: Client, image: Image) -> Any:
    (task,) = client.get(f"/v2/images/{image.pk}/tasks").json()["tasks"]
    return task


def from_web(web: str) -> dict[str, str]:
    return {"name": "web-download", "uri": f"{web}/disk.raw"}


@pytest.mark.parametrize(
    "text",
    [
        f"{WRONG}  old-disk.raw\n{SHA256}  disk.raw\n",
        f"# disk.raw: 1000 bytes\nSHA256 (disk.raw) = {SHA256}\n",
        f"{SHA512} *./disk.raw\n",
        f"{SHA256}\n",
    ],
)
def test_data_with_the_published_digest_is_imported(
    text: str, api: Any, queued: Image, web: str, publish: Callable[..., str]
) -> None:
    response = ask(api.member, queued, method=from_web(web), checksum_url=publish(text))
    assert response.status_code == 202
    work()

    assert status(queued) == "active"


def test_data_with_another_digest_is_not_stored(
    api: Any, queued: Image, web: str, publish: Callable[..., str]
) -> None:
    url = publish(f"{WRONG}  disk.raw\n")
    ask(api.member, queued, method=from_web(web), checksum_url=url)
    work()

    assert status(queued) == "queued"
    why = f"Digest mismatch: sha-256 is {SHA256}, expected {WRONG}"
    assert task(api.member, queued)["message"] == why
    assert list(consistency.check()) == []


def test_the_data_can_have_another_name_in_the_checksum_file(
    api: Any, queued: Image, web: str, publish: Callable[..., str]
) -> None:
    url = publish(f"{SHA256}  debian.raw\n")
    name = {"checksum_url": url, "checksum_name": "debian.raw"}
    ask(api.member, queued, method=from_web(web), **name)
    work()

    assert status(queued) == "active"


def test_staged_data_is_compared_with_the_published_digest(
    api: Any, staged: Image, publish: Callable[..., str]
) -> None:
    url = publish(f"{SHA256}  disk.raw\n")
    name = {"checksum_url": url, "checksum_name": "disk.raw"}

    assert ask(api.member, staged, method=DIRECT, **name).status_code == 202
    work()

    assert status(staged) == "active"


def test_the_file_and_the_request_must_agree(
    api: Any, queued: Image, web: str, publish: Callable[..., str]
) -> None:
    both = {
        "checksum_url": publish(f"{WRONG}  disk.raw\n"),
        "expected": {"sha256": SHA256},
    }
    ask(api.member, queued, method=from_web(web), **both)
    work()

    assert status(queued) == "queued"
    assert "the request expects" in task(api.member, queued)["message"]
    assert Transfer.objects.get().bytes_received == 0


def test_what_the_request_expects_besides_is_compared_too(
    api: Any, queued: Image, web: str, publish: Callable[..., str]
) -> None:
    both = {
        "checksum_url": publish(f"{SHA256}  disk.raw\n"),
        "expected": {"sha512": WRONG * 2},
    }
    ask(api.member, queued, method=from_web(web), **both)
    work()

    assert "sha-512 is" in task(api.member, queued)["message"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (f"{SHA256}  other.raw\n", "has no digest of a file named 'disk.raw'"),
        (f"{'0' * 32}  disk.raw\n", "has only the MD5 or SHA-1 of the file 'disk.raw'"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (bytes(checksum_file.MOST + 1), "sends a document that is too large"),
        (
            None,
            "cannot be read. The web server does not have this data: it responded with 404",
        ),
    ],
)
def test_without_a_published_digest_nothing_is_downloaded(
    content: Any,
    why: str,
    api: Any,
    queued: Image,
    web: str,
    publish: Callable[..., str],
) -> None:
    url = f"{web}/missing" if content is None else publish(content)
    ask(api.member, queued, method=from_web(web), checksum_url=url)
    work()

    assert status(queued) == "queued"
    assert why in task(api.member, queued)["message"]
    assert Transfer.objects.get().bytes_received == 0


def test_staged_data_is_kept_when_the_checksum_file_cannot_be_read(
    api: Any, staged: Image, web: str, publish: Callable[..., str]
) -> None:
    wrong = {"checksum_url": f"{web}/missing", "checksum_name": "disk.raw"}
    ask(api.member, staged, method=DIRECT, **wrong)
    work()
    assert status(staged) == "uploading"

    right = wrong | {"checksum_url": publish(f"{SHA256}  disk.raw\n")}
    ask(api.member, staged, method=DIRECT, **right)
    work()

    assert status(staged) == "active"


class Redirecting(BaseHTTPRequestHandler):
    """Redirects to the URL in its query."""

    def log_message(self, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.path.partition("?")[2])
        self.end_headers()


def test_a_redirect_is_followed_only_to_a_url_that_the_filter_allows(
    api: Any,
    queued: Image,
    web: str,
    publish: Callable[..., str],
    settings: Any,
) -> None:
    allowed = settings.IMAGECATALOG_URL_ALLOWED_PORTS
    with serving(Redirecting) as other:
        allow_in_process(settings, other)
        settings.IMAGECATALOG_URL_ALLOWED_PORTS += allowed
        for target in ("http://127.0.0.1:1/x", publish(f"{SHA256}  disk.raw\n")):
            url = f"{other}/?{target}"
            ask(api.member, queued, method=from_web(web), checksum_url=url)
            work()

    first, last = Transfer.objects.order_by("started_at")
    assert "The checksum file cannot be read. This URL does not pass" in first.error
    assert (last.error, status(queued)) == ("", "active")


@pytest.mark.parametrize(
    "named",
    [
        {"checksum_url": "file:///etc/passwd"},
        {"checksum_url": "http://127.0.0.1:1/SHA256SUMS"},
        {"checksum_url": "https://user:password@example.org/SHA256SUMS"},
        {"checksum_url": "https://example.org/" + "a" * 2048},
        {"checksum_url": 1},
        {"checksum_url": ["https://example.org/SHA256SUMS"]},
        {"checksum_name": "disk.raw"},
        {"checksum_name": {"a": 1}},
        {"checksum_url": "WEB", "checksum_name": "a/b"},
        {"checksum_url": "WEB", "checksum_name": "a\0"},
        {"checksum_url": "WEB", "checksum_name": "-"},
        {"checksum_url": "WEB", "checksum_name": 7},
    ],
)
def test_a_checksum_file_that_cannot_be_used_is_refused(
    named: dict[str, Any], api: Any, queued: Image, web: str
) -> None:
    body = {name: web if it == "WEB" else it for name, it in named.items()}

    response = ask(api.member, queued, method=from_web(web), **body)

    assert response.status_code == 400
    assert status(queued) == "queued"


def test_the_name_is_needed_where_no_url_ends_with_it(
    api: Any, queued: Image, staged: Image, web: str
) -> None:
    response = ask(api.member, staged, method=DIRECT, checksum_url=f"{web}/SHA256SUMS")

    assert response.status_code == 400
    assert "State the name" in response.content.decode()


@pytest.mark.parametrize("name", ["copy-image", "glance-download"])
def test_data_that_is_known_already_needs_no_checksum_file(
    name: str, api: Any, queued: Image, web: str
) -> None:
    url = f"{web}/SHA256SUMS"

    response = ask(api.member, queued, method={"name": name}, checksum_url=url)

    assert response.status_code == 400
    assert "web-download, glance-direct" in response.content.decode()


def test_the_query_of_the_checksum_url_is_shown_nowhere(
    api: Any, queued: Image, web: str, publish: Callable[..., str]
) -> None:
    url = publish(f"{SHA256}  disk.raw\n")
    ask(api.member, queued, method=from_web(web), checksum_url=f"{url}?key=secret")

    shown = task(api.member, queued)["input"]["import_req"]
    assert (shown["checksum_url"], shown["checksum_name"]) == (f"{url}?***", "disk.raw")
    assert "key=" not in str(Transfer.objects.values().get())
    work()
    assert (status(queued), Transfer.objects.get().secret) == ("active", "")


def test_an_interrupted_import_reads_the_checksum_file_again(
    api: Any, queued: Image, web: str, publish: Callable[..., str]
) -> None:
    url = f"{publish(f'{WRONG}  disk.raw')}?key=secret"
    ask(api.member, queued, method=from_web(web), checksum_url=url)
    (first,) = waiting_copies()
    with pytest.raises(errors.ServerStopping):
        queue.carry_out(first, lambda: True)
    publish(f"{SHA256}  disk.raw")
    work()

    assert status(queued) == "active"
