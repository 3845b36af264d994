"""Arriving requests, without a server: when a thread can handle one."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from unittest import mock

import pytest
from django.conf import settings
from gunicorn.config import Config
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from hypothesis import given
from hypothesis import strategies as st

from imagecatalog.web import connection
from imagecatalog.web.connection import Connection

POST = b"POST /v2/images HTTP/1.1\r\nHost: x\r\n"
PUT = b"PUT /v2/images/x/file HTTP/1.1\r\nHost: x\r\n"
NEXT = b"GET / HTTP/1.1\r\n"
LONG = b"Content-Length: 2000000\r\n\r\n"
# What a thread needs, and what may follow it.
REQUESTS = [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", NEXT),
    (b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", NEXT),
    (POST + b"Content-Length: 0\r\n\r\n", NEXT),
    (POST + b"Content-Length: 5\r\n\r\nhello", NEXT),
    (
        POST + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n",
        NEXT,
    ),
    (POST + b"Transfer-Encoding: chunked\r\n\r\nz", b"\r\n0\r\n\r\n"),
    (POST + b"Content-Length: x\r\n\r\n", b"hello"),
    (POST + LONG, b"hello"),
    (PUT + b"Content-Length: 5\r\n\r\n", b"hello"),
    (PUT + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello"),
    (b"PATCH /v2.9/images/x/uploads/y HTTP/1.1\r\nHost: x\r\n" + LONG, b"hello"),
    (b"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", b"hello"),
]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def fed(parts: list[bytes]) -> tuple[int, bytes]:
    """After how many bytes a thread can take the request, and what it then reads first."""
    near, far = socket.socketpair()
    with near, far:
        conn = Connection(Config(), near, ("127.0.0.1", 1), ("127.0.0.1", 2), None)
        for at, part in enumerate(parts):
            if conn.add(part):
                rest = conn.parser.unreader.take_buffered()
                return sum(map(len, parts[: at + 1])), rest
    return -1, b""


@pytest.mark.parametrize(("needed", "behind"), REQUESTS)
def test_a_thread_gets_a_request_with_its_last_byte_and_not_before(
    needed: bytes, behind: bytes
) -> None:
    parts = [bytes([byte]) for byte in needed + behind]
    at, _ = fed(parts)

    # A body that is not awaited is in no part of what is needed.
    assert at == len(needed) or (needed.endswith(b"chunked\r\n\r\nz") and at > 0)


@pytest.mark.parametrize(("more", "is_awaited"), [(0, True), (1, False)])
def test_a_form_that_is_not_too_large_waits_without_a_thread(
    more: int, is_awaited: bool
) -> None:
    size = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + more
    head = b"POST /admin/images/image/add/ HTTP/1.1\r\nHost: x\r\n"

    at, _ = fed([head + b"Content-Length: %d\r\n\r\na=b" % size])

    assert (at == -1) == is_awaited


@given(st.sampled_from(REQUESTS), st.lists(st.integers(0, 200), max_size=6))
def test_nothing_is_lost_however_a_request_arrives(
    request_: tuple[bytes, bytes], splits: list[int]
) -> None:
    wire = b"".join(request_)
    cuts = sorted({min(split, len(wire)) for split in splits} | {0, len(wire)})
    parts = [wire[start:stop] for start, stop in itertools.pairwise(cuts)]
    end_of_head = wire.index(b"\r\n\r\n") + 4

    at, rest = fed(parts)

    assert at > 0
    is_malformed = b"Content-Length: x" in wire
    assert is_malformed or rest == wire[end_of_head:at]


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"GET /" + b"x" * (1 << 17), LimitRequestLine),
        (NEXT + b"X-A: y\r\n" * (1 << 14), LimitRequestHeaders),
        (NEXT + b"X-A: y\r\n" * (1 << 14) + b"\r\n", LimitRequestHeaders),
    ],
)
def test_a_head_that_is_too_large_is_refused(
    sent: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        fed([sent])


def test_a_line_that_ends_without_cr_is_left_to_gunicorn_at_once() -> None:
    assert fed([b"GET / HTTP/1.1\n"])[0] > 0


def test_a_body_earns_its_time() -> None:
    near, far = socket.socketpair()
    with near, far, mock.patch.object(connection.time, "monotonic", return_value=100.0):
        conn = Connection(Config(), near, ("127.0.0.1", 1), ("127.0.0.1", 2), None)
        conn.add(POST + b"Content-Length: 100000\r\n\r\n")
        deadlines = [conn.deadline]
        conn.add(bytes(2048))
        deadlines.append(conn.deadline)

    assert deadlines == [110.0, 112.0]


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [(b"192.0.2.7", "192.0.2.7"), (b"2001:db8::1:2:3:4", "2001:db8::/64")],
)
def test_a_connection_of_a_proxy_counts_for_its_client(
    forwarded: bytes, address: str, settings: object
) -> None:
    settings.IMAGECATALOG_TRUSTED_PROXIES = ("127.0.0.1",)  # type: ignore[attr-defined]
    near, far = socket.socketpair()
    with near, far:
        conn = Connection(Config(), near, ("127.0.0.1", 1), ("127.0.0.1", 2), None)
        fields = b"X-Forwarded-For: " + forwarded + b"\r\nContent-Length: 9\r\n\r\n"
        conn.add(POST + fields)

    assert conn.address == address
