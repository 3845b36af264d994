"""A client that waits for 100 (Continue) is asked for its body only when the body is read.

The requests are parsed by gunicorn and answered by the whole application, without the server.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser

from imagecatalog import server
from imagecatalog.wsgi import application
from images.access import Caller
from images.http.expectation import CONTINUE
from images.models import Image
from images.transfers import concurrency
from images.transfers.places import Place

OCTETS = "Content-Type: application/octet-stream"
OFFSET = "Content-Type: application/offset+octet-stream"
MISSING = "0b5e9d44-7c1a-4f0e-9d55-3f6a1c2b7e90"


class Client:
    """Sends a request's head with an expectation; its body only when asked, or at once."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.near, self.far = socket.socketpair()
        self.far.settimeout(60)

    def ask(
        self, method: str, path: str, *fields: str, key: str = "", at_once: bytes = b""
    ) -> int:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Expect: 100-Continue"]
        lines += [f"X-Auth-Token: {key or self.key}", *fields, "", ""]
        self.far.sendall("\r\n".join(lines).encode() + at_once)
        parser = RequestParser(config := Config(), self.near, ("127.0.0.1", 1))
        self.request = next(parser)
        server.pre_request(None, self.request)
        address = ("127.0.0.1", "80")
        self.response, environ = wsgi.create(
            self.request, self.near, address, address, config
        )
        content = application(environ, self.response.start_response)
        self.content = b"".join(content)
        content.close()
        self.reusable = parser.finish_body(deadline=time.monotonic() + 5)
        return int(self.response.status[:3])

    def received(self) -> bytes:
        """The bytes that the server has sent before its final response."""
        self.near.shutdown(socket.SHUT_WR)
        return self.far.recv(1 << 16)


@pytest.fixture(autouse=True)
def connection_stays() -> Iterator[None]:
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def client(client_of: Callable[[Caller], Any], member: Caller) -> Iterator[Client]:
    client_of(member)
    client = Client("alice-key")
    yield client
    client.near.close()
    client.far.close()


REFUSED: list[tuple[str, str, str, tuple[str, ...], int]] = [
    ("queued", "PUT", "/v2/images/{}/file", ("Content-Type: text/plain",), 415),
    ("queued", "PUT", "/v2/images/{}/file", ("Content-Range: bytes 1-9/10",), 400),
    ("active", "PUT", "/v2/images/{}/file", (), 409),
    ("deactivated", "PUT", "/v2/images/{}/file", (), 409),
    ("queued", "PUT", f"/v2/images/{MISSING}/file", (), 404),
    ("queued", "PUT", "/v2/images/{}/file", ("x-image-meta-store: none",), 400),
    ("queued", "PUT", "/v2/nowhere", (), 404),
    ("queued", "POST", "/v2/images/{}/file", (), 405),
    ("queued", "PATCH", f"/v2/images/{{}}/uploads/{MISSING}", (OFFSET,), 404),
    ("active", "PUT", "/v1/images/{}", (), 409),
    ("queued", "PUT", f"/v1/images/{MISSING}", (), 404),
    ("queued", "POST", "/v1/images", ("x-image-meta-foo: 1",), 400),
]


@pytest.mark.parametrize(
    "framing", ["Content-Length: 900000", "Transfer-Encoding: chunked"]
)
@pytest.mark.parametrize(("status", "method", "path", "fields", "code"), REFUSED)
def test_a_refused_body_is_not_asked_for(
    status: str,
    method: str,
    path: str,
    fields: tuple[str, ...],
    code: int,
    framing: str,
    client: Client,
    make_image: Callable[..., Image],
) -> None:
    image = make_image(status, data=b"x" if status != "queued" else None)
    types = [] if any("Content-Type" in field for field in fields) else [OCTETS]
    tus = "Tus-Resumable: 1.0.0", "Upload-Offset: 0"

    answer = client.ask(method, path.format(image.pk), framing, *types, *fields, *tus)

    assert answer == code
    assert client.received() == b""
    assert ("Connection", "close") in connection_header(client)
    assert not client.reusable


def test_a_request_without_body_is_not_asked_for_one(
    client: Client, make_image: Callable[..., Image]
) -> None:
    path = f"/v2/images/{make_image().pk}"

    assert client.ask("DELETE", path, "Content-Length: 5") == 400
    assert client.received() == b""


def connection_header(client: Client) -> list[tuple[str, str]]:
    lines = [line.strip() for line in client.response.default_headers()]
    return [tuple(line.split(": ", 1)) for line in lines if ": " in line]


@pytest.mark.parametrize(
    ("path", "method"), [("/v2/images/{}/file", "PUT"), ("/v1/images", "POST")]
)
def test_without_sign_in_no_body_is_asked_for(
    path: str, method: str, client: Client, make_image: Callable[..., Image]
) -> None:
    user = base64.b64encode(b"nobody:wrong").decode()
    fields = OCTETS, "Content-Length: 900000", f"Authorization: Basic {user}"

    assert client.ask(method, path.format(make_image().pk), *fields) == 401
    assert client.received() == b""


def test_somebody_else_s_image_takes_no_body(
    client: Client, make_image: Callable[..., Image]
) -> None:
    image = make_image(owner="others", visibility="public")
    fields = OCTETS, "Content-Length: 900000"

    assert client.ask("PUT", f"/v2/images/{image.pk}/file", *fields) == 403
    assert client.received() == b""


@pytest.mark.parametrize(
    ("path", "method"), [("/v2/images/{}/file", "PUT"), ("/v1/images/{}", "PUT")]
)
def test_a_body_over_the_share_of_its_project_is_not_asked_for(
    path: str,
    method: str,
    client: Client,
    member: Caller,
    make_image: Callable[..., Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency, "_shares", concurrency.of_threads(2))
    concurrency.shares().take(Place("", member.project))
    fields = OCTETS, "Content-Length: 900000"

    assert client.ask(method, path.format(make_image().pk), *fields) == 503
    assert client.received() == b""


@pytest.mark.parametrize("length", [1 << 50, 10**30])
def test_a_body_over_the_size_limit_is_not_asked_for(
    length: int, client: Client, make_image: Callable[..., Image]
) -> None:
    path = f"/v2/images/{make_image().pk}/file"

    assert client.ask("PUT", path, OCTETS, f"Content-Length: {length}") == 413
    assert client.received() == b""


def test_a_json_document_over_its_limit_is_not_asked_for(client: Client) -> None:
    assert client.ask("POST", "/v2/images", "Content-Length: 2000000") == 413
    assert client.received() == b""


@pytest.mark.parametrize("fields", [(), ("x-image-meta-disk_format: raw",)])
def test_a_body_over_the_quota_is_not_asked_for(
    fields: tuple[str, ...],
    client: Client,
    make_image: Callable[..., Image],
    settings: Any,
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 1000
    image = make_image()
    path = f"/v1/images/{image.pk}" if fields else f"/v2/images/{image.pk}/file"

    assert client.ask("PUT", path, OCTETS, "Content-Length: 2000", *fields) == 413
    assert client.received() == b""


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("Content-Length: 5", b"hello"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("asked", [True, False])
def test_a_welcome_body_is_asked_for_unless_it_is_already_there(
    framing: str,
    body: bytes,
    asked: bool,
    client: Client,
    make_image: Callable[..., Image],
) -> None:
    image = make_image()
    path = f"/v2/images/{image.pk}/file"
    if (
        asked
    ):  # the head alone is read first; the socket has the body when it is asked for
        send_when_asked(client, body)

    status = client.ask("PUT", path, OCTETS, framing, at_once=b"" if asked else body)

    assert status == 204
    stored = Image.objects.get(pk=image.pk)
    assert stored.checksum == hashlib.md5(b"hello", usedforsecurity=False).hexdigest()
    assert client.reusable
    assert ("Connection", "keep-alive") in connection_header(client)


def send_when_asked(client: Client, body: bytes) -> None:
    def send() -> None:
        assert client.far.recv(1 << 16) == CONTINUE
        client.far.sendall(body)

    threading.Thread(target=send).start()


@pytest.mark.parametrize("framing", ["Content-Length: 0", "X-None: 0"])
def test_without_a_body_nothing_is_asked_for(framing: str, client: Client) -> None:
    assert client.ask("GET", "/v2/images", framing) == 200
    assert client.received() == b""
    assert client.reusable


def test_a_form_is_asked_for_when_it_is_read(client: Client) -> None:
    send_when_asked(client, b"a=b&c=d")

    status = client.ask(
        "POST",
        "/admin/login/",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 7",
    )

    assert status == 403  # no CSRF token
    assert client.reusable
