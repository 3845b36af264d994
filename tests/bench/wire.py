"""A small HTTP/1.1 client on raw sockets, the same code for every service that is measured.

It exists because a general client library would cost more than a fast answer takes.
It knows nothing of images.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

BLOCK = 1 << 20
TIMEOUT = 300  # s, for any single step on a socket


class BenchError(Exception):
    """A service did not answer as the benchmark needs; the run is worth nothing."""


class HungUp(BenchError):
    """A service closed a connection instead of answering."""


@dataclass(frozen=True)
class Endpoint:
    """Where a service listens, and the headers that sign a request in."""

    host: str
    port: int
    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    source: str = ""  # the address to connect from; empty: any
    timeout: float = TIMEOUT

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str] | None = None) -> Endpoint:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise BenchError(f"{url} is not an http:// address")
        prefix = parts.path.rstrip("/").removesuffix("/v2")
        return cls(parts.hostname, parts.port or 80, prefix, headers or {})

    def connect(self) -> socket.socket:
        """A new connection."""
        source = (self.source, 0) if self.source else None
        sock = socket.create_connection((self.host, self.port), self.timeout, source)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        keep_alive: bool = False,
    ) -> bytes:
        """The bytes of a whole request, to be built once and sent many times."""
        lines = {
            "Host": f"{self.host}:{self.port}",
            "Accept": "*/*",
            "Connection": "keep-alive" if keep_alive else "close",
            **self.headers,
            **(headers or {}),
        }
        if body:
            lines["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        start = f"{method} {self.prefix}{path} HTTP/1.1\r\n"
        return f"{start}{head}\r\n".encode("latin-1") + body


@dataclass
class Answer:
    """A whole answer; ``length`` counts the body's bytes even when they were not kept."""

    status: int
    headers: dict[str, str]
    body: bytes
    length: int

    def json(self) -> dict[str, object]:
        """The body as a JSON object."""
        return dict(json.loads(self.body))

    def expect(self, status: int, what: str) -> Answer:
        """Itself; raises BenchError when the status is another one."""
        if self.status != status:
            text = self.body[:200].decode("utf-8", "replace")
            raise BenchError(f"{what}: {self.status} instead of {status}: {text}")
        return self


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and lower-cased headers."""
    first, *rest = head.decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in rest if ":" in line)
    return int(first.split(" ", 2)[1]), {
        name.strip().lower(): value.strip() for name, value in pairs
    }


def read_answer(sock: socket.socket, *, keep: bool = True) -> Answer:
    """Read one answer to its end; with ``keep=False`` the body is only counted."""
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        data = sock.recv(65536)
        if not data:
            raise HungUp("the connection ended before an answer")
        buffer += data
    head, rest = buffer.split(b"\r\n\r\n", 1)
    status, headers = parse_head(head)
    if status == 100:
        return read_answer(sock, keep=keep)
    if status == 204 or headers.get("content-length") == "0":
        return Answer(status, headers, b"", 0)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        if not keep:
            raise BenchError("a download without Content-Length is not measured")
        body = unchunk(read_until_last_chunk(sock, rest))
        return Answer(status, headers, body, len(body))
    size = int(headers.get("content-length", -1))
    if keep:
        body = read_body(sock, rest, size)
        return Answer(status, headers, body, len(body))
    return Answer(status, headers, b"", count_body(sock, len(rest), size))


def read_body(sock: socket.socket, rest: bytes, size: int) -> bytes:
    parts, have = [rest], len(rest)
    while have != size:
        data = sock.recv(BLOCK)
        if not data:
            break
        parts.append(data)
        have += len(data)
    return b"".join(parts)


def count_body(sock: socket.socket, have: int, size: int) -> int:
    buffer = bytearray(BLOCK)
    while have != size:
        got = sock.recv_into(buffer)
        if not got:
            break
        have += got
    return have


def read_until_last_chunk(sock: socket.socket, rest: bytes) -> bytes:
    data = bytearray(rest)
    while not data.endswith(b"0\r\n\r\n"):
        more = sock.recv(BLOCK)
        if not more:
            raise BenchError("the connection ended inside a chunked answer")
        data += more
    return bytes(data)


def unchunk(data: bytes) -> bytes:
    """The payload of a complete chunked body (without trailers)."""
    parts: list[bytes] = []
    at = 0
    while True:
        line = data.index(b"\r\n", at)
        size = int(data[at:line].split(b";")[0], 16)
        if not size:
            return b"".join(parts)
        parts.append(data[line + 2 : line + 2 + size])
        at = line + 2 + size + 2


def exchange(endpoint: Endpoint, request: bytes, *, keep: bool = True) -> Answer:
    """Send a prepared request on a connection of its own and read the answer."""
    with endpoint.connect() as sock:
        sock.sendall(request)
        return read_answer(sock, keep=keep)


class Session:
    """A connection that is kept for one request after the other, as client libraries do."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.sock: socket.socket | None = None
        self.reusable = True  # until the service hangs up after an answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.sock is not None:
            self.sock.close()

    def exchange(self, request: bytes) -> Answer:
        """Send a prepared request and read the answer.

        Every request gets a new connection from a service that keeps none alive.
        """
        if self.sock is not None and self.reusable:
            try:
                self.sock.sendall(request)
                return read_answer(self.sock)
            except (BrokenPipeError, ConnectionResetError, HungUp):
                self.reusable = False
        if self.sock is not None:
            self.sock.close()
        self.sock = self.endpoint.connect()
        self.sock.sendall(request)
        return read_answer(self.sock)


def call(endpoint: Endpoint, method: str, path: str, payload: object = None) -> Answer:
    """One request, optionally with a JSON body."""
    if payload is None:
        return exchange(endpoint, endpoint.request(method, path))
    body = json.dumps(payload).encode()
    headers = {"Content-Type": "application/json"}
    return exchange(
        endpoint, endpoint.request(method, path, headers=headers, body=body)
    )
