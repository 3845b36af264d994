"""Clients that are slow, silent or do not read, while others are served at once."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from imagecatalog.web.worker import LINGER_LIMIT
from tests.servers import Service
from tests.wire.api import Api, connect, head

DATA = os.urandom(24 << 20)  # more than the kernel buffers for a connection
MANY = 80  # more than the service has threads
BODY = "Content-Length: 100000"
UPLOAD = "PUT /v2/images/0b5e9d44-7c1a-4f0e-9d55-3f6a1c2b7e90/file HTTP/1.1"
BEGINNINGS = {
    "nothing": b"",
    "half a line": b"GET /v2/ima",
    "half a head": b"GET /v2/images HTTP/1.1\r\nHost: x\r\nX-A: ",
    "a form": f"POST /admin/login/ HTTP/1.1\r\nHost: x\r\n{BODY}\r\n\r\na=b".encode(),
    "JSON": f'POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: x\r\n{BODY}\r\n\r\n{{"'.encode(),
    "JSON in chunks": b"POST /v2/images HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "a refused upload": f"{UPLOAD}\r\nHost: x\r\n{BODY}0000\r\n\r\ndata".encode(),
}


@pytest.fixture
def api(any_catalogue: Service) -> Iterator[Api]:
    with Api(any_catalogue) as session:
        yield session


@contextmanager
def connections(service: Service, beginning: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(service)) for _ in range(MANY)]
        for sock in opened:
            sock.sendall(beginning)
        yield opened


def answers(sock: socket.socket) -> list[int]:
    """The status codes of all responses until the service closes the connection."""
    received = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def health(service: Service) -> float:
    """How many seconds a health check takes."""
    began = time.monotonic()
    with connect(service) as sock:
        sock.sendall(
            b"GET /healthcheck HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert answers(sock) == [200]
    return time.monotonic() - began


@pytest.mark.parametrize("kind", BEGINNINGS)
def test_others_are_served_while_many_requests_are_not_whole(
    kind: str, any_catalogue: Service
) -> None:
    with connections(any_catalogue, BEGINNINGS[kind]):
        assert health(any_catalogue) < 3


@pytest.mark.slow
def test_what_arrives_too_slowly_is_ended_by_the_service(
    any_catalogue: Service,
) -> None:
    with ExitStack() as stack:
        socks = {}
        for kind, beginning in BEGINNINGS.items():
            socks[kind] = stack.enter_context(connect(any_catalogue))
            socks[kind].settimeout(30)
            socks[kind].sendall(beginning)
        codes = {kind: answers(sock) for kind, sock in socks.items()}

    assert codes.pop("nothing") == []
    assert codes.pop("a refused upload") == [401]
    assert set(map(tuple, codes.values())) == {(408,)}


def test_a_request_that_arrives_in_parts_is_answered(any_catalogue: Service) -> None:
    body = json.dumps({"name": "in parts"}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    request = (
        head(
            any_catalogue,
            "POST",
            "/v2/images",
            "Transfer-Encoding: chunked",
            "Connection: close",
        )
        + chunks
    )
    with connect(any_catalogue) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(request), 7):
            sock.sendall(request[at : at + 7])
        assert answers(sock) == [201]


def test_requests_sent_at_once_are_answered_in_order(any_catalogue: Service) -> None:
    body = b'{"name": "x"}'
    create = head(any_catalogue, "POST", "/v2/images", f"Content-Length: {len(body)}")
    listed = head(any_catalogue, "GET", "/v2/images")
    last = head(any_catalogue, "GET", "/v2/none", "Connection: close")
    with connect(any_catalogue) as sock:
        sock.sendall(listed + create + body + listed + last)
        assert answers(sock) == [200, 201, 200, 404]


def test_a_small_body_is_asked_for(any_catalogue: Service) -> None:
    body = b'{"name": "x"}'
    fields = "Expect: 100-continue", f"Content-Length: {len(body)}", "Connection: close"
    with connect(any_catalogue) as sock:
        sock.sendall(head(any_catalogue, "POST", "/v2/images", *fields))
        assert sock.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert answers(sock) == [201]


def test_a_small_body_that_is_cut_off_is_refused(any_catalogue: Service) -> None:
    with connect(any_catalogue) as sock:
        sock.sendall(head(any_catalogue, "POST", "/v2/images", BODY) + b"{")
        sock.shutdown(socket.SHUT_WR)
        assert answers(sock) == [400]


def test_a_head_of_more_than_128_kib_is_431_in_the_form_of_the_api(
    any_catalogue: Service,
) -> None:
    fields = [f"X-A: {'x' * 50_000}"] * 3
    with connect(any_catalogue) as sock:
        sock.sendall(head(any_catalogue, "GET", "/v2/images", *fields))
        answer = sock.recv(1 << 16)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"x-openstack-request-id" in answer.lower()


def test_tiny_chunks_without_end_are_413(any_catalogue: Service) -> None:
    start = head(any_catalogue, "POST", "/v2/images", "Transfer-Encoding: chunked")
    with connect(any_catalogue) as sock:
        sock.sendall(start + b"1\r\nx\r\n" * 20_000)
        assert sock.recv(1 << 16).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_a_refused_upload_to_its_end_sees_the_refusal(
    any_catalogue: Service,
) -> None:
    size = 20 << 20
    request = f"{UPLOAD}\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    with connect(any_catalogue) as sock:
        sock.sendall(request + bytes(size))
        assert answers(sock) == [401]


def test_a_client_that_goes_on_sending_after_a_refusal_is_ended(
    any_catalogue: Service,
) -> None:
    size = 1 << 40
    request = f"{UPLOAD}\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    with connect(any_catalogue) as sock:
        sock.sendall(request)
        with pytest.raises(OSError, match="reset|Broken pipe"):
            sock.sendall(bytes(4 * LINGER_LIMIT))


# Downloads


@pytest.fixture
def image_id(api: Api) -> str:
    image_id = api.new(name="large")
    api.upload(image_id, DATA)
    return image_id


def test_others_are_served_while_many_do_not_read_their_download(
    image_id: str, any_catalogue: Service, api: Api
) -> None:
    request = head(any_catalogue, "GET", f"/v2/images/{image_id}/file")
    with connections(any_catalogue, request) as opened:
        for sock in opened:
            assert sock.recv(12) == b"HTTP/1.1 200"
        assert health(any_catalogue) < 3
        assert api.data(image_id) == DATA


def test_a_download_that_is_read_slowly_arrives_whole(
    image_id: str, any_catalogue: Service
) -> None:
    request = head(any_catalogue, "GET", f"/v2/images/{image_id}/file")
    last = head(any_catalogue, "GET", "/v2/none", "Connection: close")
    received = bytearray()
    with connect(any_catalogue) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        sock.sendall(request + last)
        while part := sock.recv(1 << 18):
            received += part
            time.sleep(0.001)

    start, _, rest = received.partition(b"\r\n\r\n")
    assert b"\r\nConnection: keep-alive\r\n" in start
    assert rest[: len(DATA)] == DATA
    assert rest[len(DATA) :].startswith(b"HTTP/1.1 404")
