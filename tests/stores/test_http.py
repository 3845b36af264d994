"""Web addresses: only checked ones are connected to, and a body that is cut short is no body."""

from __future__ import annotations

import http.server
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from urllib3 import Timeout

from images import errors, min_rate
from images.stores import http as http_store
from images.stores.http import HttpStore
from tests import certificates
from tests.servers import wait_until
from tests.web import allow_in_process

MIB = 1 << 20
DATA = bytes(range(256)) * (2 * MIB // 256) + b"tail"

STORE = HttpStore()


class Handler(http.server.BaseHTTPRequestHandler):
    """Its paths are kinds of servers."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, dict[str, str]]]  # method, path, headers

    def log_message(self, *args: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, dict(self.headers)))
        name = self.path.split("/")[1].partition("?")[0].replace("-", "_")
        getattr(self, f"get_{name}", self.missing)()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers = {"Content_Length": str(len(body))} | headers
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def missing(self) -> None:
        self.answer(404, b"no such thing")

    def get_plain(self) -> None:
        self.answer(200, DATA)

    def get_gone(self) -> None:
        self.answer(410)

    def get_broken(self) -> None:
        self.answer(503)

    def get_ranges(self) -> None:
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        end = min(int(last or len(DATA)) + 1, len(DATA))
        part = DATA[int(first) : end]
        self.answer(206, part, Content_Range=f"bytes {first}-{end - 1}/{len(DATA)}")

    def get_other_range(self) -> None:
        self.answer(206, DATA[:10], Content_Range=f"bytes 0-9/{len(DATA)}")

    def get_short_range(self) -> None:
        self.answer(206, DATA[5:10], Content_Range=f"bytes 5-9/{len(DATA)}")

    def get_unasked_range(self) -> None:
        self.answer(206, DATA[:10], Content_Range=f"bytes 0-9/{len(DATA)}")

    def get_truncated(self) -> None:
        self.answer(200, DATA, Content_Length=str(len(DATA) + 1))
        self.close_connection = True

    def get_truncated_range(self) -> None:
        content_range = f"bytes 1-{len(DATA) - 1}/{len(DATA)}"
        self.answer(206, b"x" * 10, Content_Range=content_range)

    def get_chunked(self) -> None:
        self.chunks([DATA[:MIB], DATA[MIB:], b""])

    def get_truncated_chunked(self) -> None:
        self.chunks([DATA])

    def get_endless(self) -> None:
        self.chunks(iter(lambda: b"x" * MIB, None))

    def chunks(self, blocks: Any) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for block in blocks if self.command != "HEAD" else ():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        self.close_connection = True

    def get_dripping(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Wait: ")
        with suppress(OSError):
            for _ in range(600):
                self.wfile.write(b"x")
                time.sleep(0.1)
        self.close_connection = True

    def get_boundless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True

    def get_compressed(self) -> None:
        self.answer(200, b"not really gzip", Content_Encoding="gzip")

    def get_no_head(self) -> None:
        self.answer(405) if self.command == "HEAD" else self.get_plain()

    def get_stalls(self) -> None:
        self.answer(200, DATA, Content_Length=str(len(DATA) * 2))
        time.sleep(2)

    def get_to(self) -> None:
        self.answer(302, Location=self.path.partition("?")[2])

    def get_loop(self) -> None:
        self.answer(302, Location="/loop")


@contextmanager
def serving(settings: Any, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on loopback that the filter lets pass by its address."""
    Handler.seen = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *args: None  # type: ignore[method-assign]
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        allow_in_process(settings, f"http://127.0.0.1:{server.server_port}")
        yield server.server_port
        server.shutdown()


@pytest.fixture
def web(settings: Any) -> Iterator[str]:
    with serving(settings) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], list[str]]:
    """``asked = resolver(name, address)``: that name is there; asked lists the look-ups."""
    real, table, asked = socket.getaddrinfo, {}, []

    def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
        asked.append(host)
        return real(table.get(host, host), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    def add(name: str, address: str) -> list[str]:
        table[name] = address
        return asked

    return add


# Reading


def test_the_request_is_plain_and_carries_no_credentials(web: str) -> None:
    assert b"".join(STORE.open(f"{web}/plain?a=1")) == DATA

    method, path, headers = Handler.seen[0]
    assert (method, path) == ("GET", "/plain?a=1")
    assert headers["Host"] == web.removeprefix("http://")
    assert headers["Accept-Encoding"] == "identity"
    assert {"Authorization", "Cookie", "Range"}.isdisjoint(headers)


def test_a_chunked_body_is_read_to_its_end(web: str) -> None:
    blocks = list(STORE.open(f"{web}/chunked"))

    assert b"".join(blocks) == DATA
    assert len(blocks[0]) == MIB


def test_a_compressed_body_is_passed_on_as_it_is(web: str) -> None:
    assert b"".join(STORE.open(f"{web}/compressed")) == b"not really gzip"


@pytest.mark.parametrize(
    ("start", "stop"), [(5, 10), (MIB, None), (0, 1), (7, len(DATA) + 9)]
)
def test_only_the_range_is_fetched_where_the_server_can(
    web: str, start: int, stop: int | None
) -> None:
    assert b"".join(STORE.open(f"{web}/ranges", start, stop)) == DATA[start:stop]
    assert "Range" in Handler.seen[0][2]


def test_a_server_that_ignores_ranges_is_cut_by_hand(web: str) -> None:
    assert b"".join(STORE.open(f"{web}/plain", 5, MIB + 7)) == DATA[5 : MIB + 7]


@pytest.mark.parametrize("path", ["other-range", "short-range"])
def test_another_range_than_asked_for_is_an_error(web: str, path: str) -> None:
    with pytest.raises(errors.StoreError):
        STORE.open(f"{web}/{path}", 5, 15)


def test_a_range_that_nobody_asked_for_is_an_error(web: str) -> None:
    with pytest.raises(errors.StoreError):
        STORE.open(f"{web}/unasked-range")


@pytest.mark.parametrize("path", ["truncated", "truncated-chunked"])
def test_a_truncated_body_is_an_error_in_the_middle(web: str, path: str) -> None:
    blocks = STORE.open(f"{web}/{path}")
    next(blocks)

    with pytest.raises(errors.StoreError):
        list(blocks)


def test_a_truncated_range_is_an_error(web: str) -> None:
    with pytest.raises(errors.StoreError):
        list(STORE.open(f"{web}/truncated-range", 1))


def test_a_body_without_an_announced_end_is_refused(web: str) -> None:
    with pytest.raises(errors.StoreError):
        STORE.open(f"{web}/boundless")


def test_an_endless_body_can_be_left(web: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    blocks = STORE.open(f"{web}/endless")

    for _ in range(5):
        assert len(next(blocks)) == MIB
    blocks.close()

    # The server's end of it, too.
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before, "closed sockets")


def test_a_body_that_stalls_is_an_error(
    web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_store, "TIMEOUT", Timeout(connect=1, read=0.3))
    blocks = STORE.open(f"{web}/stalls")

    with pytest.raises(errors.StoreError):
        list(blocks)


@pytest.mark.parametrize("start", [0, MIB])
def test_a_body_that_comes_far_too_slowly_is_left_also_while_it_is_skipped(
    start: int, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(min_rate, "PAUSE", -1e9)  # as if it had gone on for ages
    blocks = STORE.open(f"{web}/plain", start)

    with pytest.raises(errors.StoreError, match="slowly"):
        next(blocks)


@pytest.mark.parametrize("ask", [STORE.open, STORE.size])
def test_a_server_that_drips_its_headers_is_left(
    ask: Callable[[str], object], web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_store, "HEAD_SECONDS", 0.5)
    began = time.monotonic()

    with pytest.raises(errors.StoreError):
        ask(f"{web}/dripping")

    assert time.monotonic() - began < 30


def test_gone_is_missing_and_broken_is_an_error(web: str) -> None:
    with pytest.raises(errors.DataMissing):
        STORE.open(f"{web}/gone")
    with pytest.raises(errors.StoreError, match="503") as caught:
        STORE.open(f"{web}/broken")

    assert type(caught.value) is errors.StoreError


def test_a_server_that_is_not_there_is_told_without_its_address(settings: Any) -> None:
    with serving(settings) as port:
        pass

    with pytest.raises(errors.StoreError) as caught:
        STORE.open(f"http://127.0.0.1:{port}/plain")

    assert "127.0.0.1" not in str(caught.value)


# Size


@pytest.mark.parametrize("path", ["plain", "no-head"])
def test_the_size_is_what_the_server_says(web: str, path: str) -> None:
    assert STORE.size(f"{web}/{path}") == len(DATA)


@pytest.mark.parametrize("path", ["chunked", "boundless", "broken"])
def test_an_unknown_size_is_an_error(web: str, path: str) -> None:
    with pytest.raises(errors.StoreError):
        STORE.size(f"{web}/{path}")


# Redirects and the filter


def test_redirects_are_followed(web: str) -> None:
    assert STORE.size(f"{web}/to?{web}/to?/plain") == len(DATA)
    assert b"".join(STORE.open(f"{web}/to?/plain")) == DATA


def test_redirects_end_some_time(web: str) -> None:
    with pytest.raises(errors.StoreError):
        STORE.open(f"{web}/loop")

    assert len(Handler.seen) == 6


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://127.0.0.1:1/",
        "http://127.1/",
        "//localhost/",
        "file:///etc/passwd",
        "http://user:secret@127.0.0.1/",
    ],
)
def test_a_redirect_to_a_forbidden_address_is_refused(web: str, target: str) -> None:
    for use in (STORE.open, STORE.size):
        with pytest.raises(errors.Invalid):
            use(f"{web}/to?{target}")


def test_a_redirect_to_nonsense_is_an_error(web: str) -> None:
    with pytest.raises(errors.ImageError):
        STORE.open(f"{web}/to?http://[")


def test_nothing_is_asked_of_a_forbidden_address(web: str, settings: Any) -> None:
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ()

    with pytest.raises(errors.Invalid):
        STORE.open(f"{web}/plain")

    assert Handler.seen == []


def test_the_connection_goes_to_the_address_that_was_checked(
    web: str, settings: Any, resolver: Callable[[str, str], list[str]]
) -> None:
    asked = resolver("images.example", "127.0.0.1")
    url = web.replace("127.0.0.1", "images.example")

    assert b"".join(STORE.open(f"{url}/plain")) == DATA

    assert asked.count("images.example") == 1  # a second answer could differ
    assert Handler.seen[0][2]["Host"] == url.removeprefix("http://")


# TLS


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context with a trusted certificate for images.example."""
    certificate, key = certificates.make(tmp_path, x509.DNSName("images.example"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_the_certificate_must_be_that_of_the_name(
    tls: ssl.SSLContext, settings: Any, resolver: Callable[[str, str], list[str]]
) -> None:
    resolver("images.example", "127.0.0.1")
    resolver("other.example", "127.0.0.1")
    shown: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: shown.append(name)

    with serving(settings, tls) as port:
        good = b"".join(STORE.open(f"https://images.example:{port}/plain"))
        for wrong in ("other.example", "127.0.0.1"):
            with pytest.raises(errors.StoreError, match="certificate"):
                STORE.open(f"https://{wrong}:{port}/plain")

    assert good == DATA
    assert shown[:2] == ["images.example", "other.example"]


def test_a_certificate_that_nobody_vouches_for_is_refused(
    tls: ssl.SSLContext,
    settings: Any,
    resolver: Callable[[str, str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver("images.example", "127.0.0.1")
    monkeypatch.delenv("SSL_CERT_FILE")

    with (
        serving(settings, tls) as port,
        pytest.raises(errors.StoreError, match="certificate"),
    ):
        STORE.open(f"https://images.example:{port}/plain")
