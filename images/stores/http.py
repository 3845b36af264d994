"""The read-only store of data at external URLs.

Connections go to the IP addresses that the URL filter has checked, never to a host name, which
could resolve to another address later.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from images import min_rate
from images.errors import DataMissing, StoreError, StoreReadOnly
from images.stores import url_filter
from images.stores.error_counts import READ, counted, counted_blocks
from images.stores.url_filter import Checked

BLOCK = 1 << 20  # bytes
TIMEOUT = Timeout(connect=10, read=60)  # s; read: between two chunks
HEAD_SECONDS = 30.0  # until all response headers have arrived
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
MOST_ADDRESSES = 3  # of one host, tried in order
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)", re.ASCII)
INTERRUPTED = "The web server interrupted the download."


class HttpStore:
    """The read-only store of data on external web servers; every key is a URL."""

    id = "http"
    type = "http"
    weight = 0
    cached = True
    description = "URLs, read-only"
    read_only = True

    properties: Mapping[str, object] = {}

    def check_mounted(self, in_use: Callable[[], bool]) -> None:
        """Do nothing: only stores in local folders have to be mounted."""

    def put(
        self,
        key: str,
        blocks: Iterable[bytes],
        size: int | None = None,
        rarely_read: bool = False,
    ) -> None:
        """Raise StoreReadOnly: data cannot be stored at a URL."""
        raise StoreReadOnly("Data cannot be stored at a URL. Choose another store.")

    @counted(READ)
    def open(
        self, key: str, start: int = 0, stop: int | None = None
    ) -> Generator[bytes, None, None]:
        """Return bytes [start, stop) of the data at a URL, in blocks of 1 MiB.

        ``stop`` None: to the end of the data. The call raises Invalid if the URL filter refuses
        the URL, DataMissing if the server does not have the data, and StoreError if the server
        fails; the iteration raises StoreError when the body is shorter than its Content-Length
        or arrives too slowly.
        """
        if stop is not None and stop <= start:
            self.size(key)
            return _nothing()
        response = _get(key, _range(start, stop))
        return counted_blocks(self.id, _cut_or_close(response, start, stop))

    @counted("size")
    def size(self, key: str) -> int:
        """Return the size in bytes that the web server reports for the data at a URL.

        Raises Invalid if the URL filter refuses the URL, DataMissing if the server does not
        have the data, and StoreError if it fails or does not report the size.
        """
        response = _follow("HEAD", key, {})
        response.close()
        length = _length(response)
        if response.status == 200 and length is not None:
            return length
        # Some servers refuse HEAD, or omit the length in the response.
        response = _get(key, {})
        response.close()
        length = _length(response)
        if length is None:
            raise StoreError("The web server does not report the size of the data.")
        return length

    def delete(self, key: str, *, abandoned: bool = False) -> None:
        """Do nothing: the data belongs to another service."""

    def keys(self) -> Iterator[tuple[str, int]]:
        """Return no keys: objects of other services are not listed."""
        return iter(())

    def url(self, key: str) -> str:
        """Return the key, which is the URL."""
        return key


@contextmanager
def _store_errors(message: str) -> Iterator[None]:
    try:
        yield
    except (HTTPError, OSError) as error:
        raise StoreError(message) from error


def _get(url: str, headers: dict[str, str]) -> BaseHTTPResponse:
    response = _follow("GET", url, headers)
    if response.status == 200 or (headers and response.status in (206, 416)):
        return response
    response.close()
    if response.status in (404, 410):
        raise DataMissing(
            f"The web server does not have this data: it responded with {_named(response.status)}."
        )
    raise StoreError(
        f"The web server responded with {_named(response.status)} instead of the data."
    )


def _named(status: int) -> str:
    """Return an HTTP status with its name, such as ``404 (Not Found)``."""
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    is_operators: bool = False,
) -> BaseHTTPResponse:
    """Send a request with credentials and return the response; refuse a redirect.

    The credentials are for the server of this URL only. ``is_operators`` says that the URL is
    from the operator's settings, so that any address and port is allowed. Raises Invalid for a
    URL that the filter refuses, StoreError if the server fails or redirects.
    """
    checked = url_filter.check(url, is_operators=is_operators)
    response = _ask(method, checked, dict(headers), body)
    if 300 <= response.status < 400:
        response.close()
        raise StoreError(
            "The server redirects the request. Credentials are not sent to another URL."
        )
    return response


def document(url: str, most: int) -> bytes:
    """Return a document of at most ``most`` bytes at a URL; redirects are followed.

    Raises Invalid for a URL that the filter refuses, DataMissing if there is no document, and
    StoreError if a server fails or the document is too large.
    """
    return read_small(_get(url, {}), most)


def read_small(response: BaseHTTPResponse, most: int) -> bytes:
    """Return the body of a response. Raises StoreError if it has more than ``most`` bytes."""
    parts, size = [], 0
    for block in stream(response):
        parts.append(block)
        size += len(block)
        if size > most:
            response.close()
            raise StoreError("The server sends a document that is too large.")
    return b"".join(parts)


def stream(response: BaseHTTPResponse) -> Generator[bytes, None, None]:
    """Return the body of a response in blocks of 1 MiB.

    The call raises StoreError if the server reports neither the size nor the end of the body;
    the iteration raises StoreError if the body is shorter than its Content-Length or arrives
    too slowly.
    """
    return _cut_or_close(response, 0, None)


def _follow(method: str, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
    """Send a request; return the response after all redirects, which must pass the URL filter.

    Raises Invalid for a URL that the filter refuses, StoreError if a server fails.
    """
    for _ in range(MOST_REDIRECTS + 1):
        checked = url_filter.check(url)
        response = _ask(method, checked, headers)
        if response.status not in REDIRECTS or "Location" not in response.headers:
            return response
        response.close()
        url = _target(checked.url, response.headers["Location"])
    raise StoreError("The web server redirects too many times.")


def _target(base: str, location: str) -> str:
    try:
        return urljoin(base, location)
    except ValueError as error:
        raise StoreError("The web server redirects to an invalid URL.") from error


def _ask(
    method: str, checked: Checked, headers: dict[str, str], body: bytes | None = None
) -> BaseHTTPResponse:
    with _store_errors(
        "The web server cannot be reached, or its certificate is not valid."
    ):
        *first, last = checked.addresses[:MOST_ADDRESSES]
        for address in first:
            try:
                return _ask_at(address, method, checked, headers, body)
            except (NewConnectionError, ConnectTimeoutError):
                continue
        return _ask_at(last, method, checked, headers, body)


def _ask_at(
    address: str,
    method: str,
    checked: Checked,
    headers: dict[str, str],
    body: bytes | None,
) -> BaseHTTPResponse:
    pool = _pool(address, checked)
    with _ended_in_time(pool):
        return pool.urlopen(
            method,
            checked.target,
            body=body,
            headers={
                "Host": checked.netloc,
                "User-Agent": "imagecatalog",
                "Accept-Encoding": "identity",
                "Connection": "close",
                **headers,
            },
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )


@contextmanager
def _ended_in_time(pool: HTTPConnectionPool) -> Iterator[None]:
    """Shut down the connections of ``pool`` if the context takes longer than 30 seconds.

    A timeout for each read does not stop a server that sends one byte now and then.
    """
    opened: list[socket.socket] = []
    kind = pool.ConnectionCls

    def connect(connection: Any) -> None:
        kind.connect(connection)
        opened.append(connection.sock)

    def end() -> None:
        for sock in opened:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    pool.ConnectionCls = type(kind.__name__, (kind,), {"connect": connect})
    timer = threading.Timer(HEAD_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _pool(address: str, checked: Checked) -> HTTPConnectionPool:
    if checked.scheme == "http":
        return HTTPConnectionPool(address, checked.port, timeout=TIMEOUT)
    return HTTPSConnectionPool(
        address,
        checked.port,
        timeout=TIMEOUT,
        ssl_context=ssl.create_default_context(),
        server_hostname=checked.host,
        assert_hostname=checked.host,
    )


def _range(start: int, stop: int | None) -> dict[str, str]:
    if start == 0 and stop is None:
        return {}
    return {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}


def _length(response: BaseHTTPResponse) -> int | None:
    """Return the length of the body in bytes; None if the headers do not state it."""
    text = response.headers.get("Content-Length", "")
    if "Transfer-Encoding" in response.headers or not re.fullmatch("[0-9]{1,18}", text):
        return None
    return int(text)


def _cut_or_close(
    response: BaseHTTPResponse, start: int, stop: int | None
) -> Generator[bytes, None, None]:
    """Return bytes [start, stop) of the data in blocks; close the response if this fails.

    The returned generator has begun already, so that its ``close()`` also closes the response.
    Raises the errors of ``_cut``.
    """
    try:
        blocks = _cut(response, start, stop)
    except BaseException:
        response.close()
        raise
    next(blocks)
    return blocks


def _cut(
    response: BaseHTTPResponse, start: int, stop: int | None
) -> Generator[bytes, None, None]:
    """Return bytes [start, stop) of the data; the response has all of the data, or only this range.

    ``stop`` None: to the end of the data. Raises StoreError if the server sent another range,
    or reports neither the size nor the end of the data.
    """
    if response.status == 416:
        return _blocks(response, 0, 0)
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    if _length(response) is None and not chunked:
        raise StoreError(
            "The web server reports neither the size nor the end of the data."
        )
    if response.status == 200:
        return _blocks(response, start, None if stop is None else stop - start)
    end = _end_of_part(response, start, stop)
    return _blocks(response, 0, end - start, exact=True)


def _end_of_part(response: BaseHTTPResponse, start: int, stop: int | None) -> int:
    """Return the offset in bytes at which the part that the server sends ends.

    It is ``stop``, or the end of the data if ``stop`` is None or greater. Raises StoreError if
    the part does not begin at ``start`` or ends too early.
    """
    sent = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if sent and int(sent[1]) == start:
        end, total = int(sent[2]) + 1, sent[3]
        if end == stop or (total.isdecimal() and end == int(total)):
            return end
    raise StoreError("The web server sent another part of the data than requested.")


def _blocks(
    response: BaseHTTPResponse, skip: int, wanted: int | None, exact: bool = False
) -> Generator[bytes, None, None]:
    """Yield an empty block, then ``wanted`` bytes of the body after its first ``skip`` bytes.

    ``wanted`` None: all bytes that follow. Closes the response at the end. Raises StoreError if
    the data comes too slowly, and with ``exact`` if there are fewer bytes.
    """
    size = -skip
    try:
        yield b""
        sent = _sent(response, skip, wanted)
        for block in min_rate.receive(sent, _too_slow, min_rate.PAUSE):
            size += len(block)
            if size > 0:
                yield block
        if exact and size != wanted:
            raise StoreError(INTERRUPTED)
    finally:
        response.close()


def _sent(response: BaseHTTPResponse, skip: int, wanted: int | None) -> Iterator[bytes]:
    """Yield the next ``skip`` bytes of the body, then ``wanted`` bytes; no block has bytes of both.

    ``wanted`` None: all bytes that follow.
    """
    for left in (skip, wanted):
        while left is None or left > 0:
            block = _read(response, BLOCK if left is None else min(BLOCK, left))
            if not block:
                return
            left = None if left is None else left - len(block)
            yield block


def _too_slow() -> StoreError:
    return StoreError("The web server sends the data too slowly.")


def _nothing() -> Generator[bytes, None, None]:
    yield from ()


def _read(response: BaseHTTPResponse, count: int) -> bytes:
    """Return the next bytes of the body: up to ``count``, as many as arrive within a second.

    Returns b"" only at the end of the body.

    read() would wait for all bytes, however slowly they arrive. urllib3 itself compares the
    end with Content-Length.
    """
    parts, size, until = [], 0, time.monotonic() + 1.0
    with _store_errors(INTERRUPTED):
        while size < count and time.monotonic() < until:
            chunk = response.read1(count - size, decode_content=False)
            if not chunk:
                break
            parts.append(chunk)
            size += len(chunk)
    return b"".join(parts)
