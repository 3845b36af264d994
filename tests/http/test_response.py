"""How a response is written to its connection."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http.wsgi import FileWrapper  # type: ignore[import-untyped]

from imagecatalog.web.connection import Connection
from imagecatalog.web.response import Response

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def client() -> Iterator[tuple[Response, socket.socket]]:
    """A response and its client, which receives what was sent at once as one packet."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        conn = Connection(Config(), near, ("192.0.2.1", 1), ("127.0.0.1", 2), None)
        conn.add(GET)
        far.settimeout(5)
        yield Response(conn.request, near, conn.cfg), far


def test_its_head_and_its_first_block_are_sent_at_once(
    client: tuple[Response, socket.socket],
) -> None:
    response, far = client
    response.start_response("200 OK", [("Content-Length", "4")])

    response.write(b"{}")
    response.write(b"[]")

    head = far.recv(4096)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\nContent-Length: 4\r\n\r\n{}")
    assert far.recv(4096) == b"[]"


def test_its_head_precedes_a_file(client: tuple[Response, socket.socket]) -> None:
    response, far = client
    response.start_response("200 OK", [("Content-Length", "4")])

    with tempfile.TemporaryFile() as file:
        file.write(b"file")
        file.seek(0)
        response.write_file(FileWrapper(file))

    head = far.recv(4096)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\nfile")


def test_its_head_is_sent_although_it_has_no_body(
    client: tuple[Response, socket.socket],
) -> None:
    response, far = client
    response.start_response("204 No Content", [])

    response.close()

    head = far.recv(4096)
    assert head.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert head.endswith(b"\r\n\r\n")


def test_its_head_precedes_its_chunks(client: tuple[Response, socket.socket]) -> None:
    response, far = client
    response.start_response("200 OK", [])

    response.write(b"page")
    response.close()

    assert far.recv(4096).endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert far.recv(4096) == b"4\r\npage\r\n"
    assert far.recv(4096) == b"0\r\n\r\n"
