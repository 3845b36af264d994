"""Bytes at a web address of somebody else's: read-only. Knows no image.

A connection goes to an address that the URL filter has checked, never to a name: a name could
mean something else a moment later.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from images import min_rate
from images.errors import DataMissing, StoreError, StoreReadOnly
from images.stores import urlfilter
from images.stores.urlfilter import Checked

BLOCK = 1 << 20  # bytes
TIMEOUT = Timeout(connect=10, read=60)  # s; read: between two chunks
HEAD_SECONDS = 30.0  # until all of the answer's head is there
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
MOST_ADDRESSES = 3  # of one host, tried one after the other
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)", re.ASCII)
BROKEN_OFF = "The web server broke off in the middle of the data."


class HttpStore:
    """Every key is an URL."""

    id = "http"
    type = "http"
    weight = 0
    description = "Web addresses, read-only"
    read_only = True

    def put(self, key: str, blocks: Iterable[bytes]) -> None:
        """Always StoreReadOnly."""
        raise StoreReadOnly(
            "Nothing can be stored at a web address. Choose another store."
        )

    def open(
        self, key: str, start: int = 0, stop: int | None = None
    ) -> Generator[bytes, None, None]:
        """Bytes [start, stop) in blocks of 1 MiB.

        Invalid (URL refused), DataMissing and StoreError come at once; StoreError also later,
        when the body is shorter than announced or comes far too slowly.
        """
        if stop is not None and stop <= start:
            self.size(key)
            return _nothing()
        response = _get(key, _range(start, stop))
        try:
            blocks = _cut(response, start, stop)
        except BaseException:
            response.close()
            raise
        next(blocks)  # now close() reaches its finally, also before the first block
        return blocks

    def size(self, key: str) -> int:
        """In bytes, as the server says; Invalid, DataMissing, StoreError."""
        response = _follow("HEAD", key, {})
        response.close()
        length = _length(response)
        if response.status == 200 and length is not None:
            return length
        # Some servers refuse HEAD, or leave the length out of its answer.
        response = _get(key, {})
        response.close()
        length = _length(response)
        if length is None:
            raise StoreError("The web server does not say how large the data is.")
        return length

    def delete(self, key: str, *, abandoned: bool = False) -> None:
        """Nothing to do: the data is not ours."""

    def keys(self) -> Iterator[tuple[str, int]]:
        """Empty: nobody else's objects are listed."""
        return iter(())

    def url(self, key: str) -> str:
        """The key itself."""
        return key


@contextmanager
def _own_errors(sentence: str) -> Iterator[None]:
    try:
        yield
    except (HTTPError, OSError) as error:
        raise StoreError(sentence) from error


def _get(url: str, headers: dict[str, str]) -> BaseHTTPResponse:
    response = _follow("GET", url, headers)
    if response.status == 200 or (headers and response.status in (206, 416)):
        return response
    response.close()
    if response.status in (404, 410):
        raise DataMissing("The web server does not have this data.")
    raise StoreError(f"The web server answered {response.status} instead of the data.")


def _follow(method: str, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
    """The answer after all redirects, each of which passes the whole filter."""
    for _ in range(MOST_REDIRECTS + 1):
        checked = urlfilter.check(url)
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
        raise StoreError("The web server redirects to nowhere.") from error


def _ask(method: str, checked: Checked, headers: dict[str, str]) -> BaseHTTPResponse:
    with _own_errors(
        "The web server cannot be reached, or its certificate is not valid."
    ):
        *others, last = checked.addresses[:MOST_ADDRESSES]
        for address in others:
            try:
                return _ask_at(address, method, checked, headers)
            except (NewConnectionError, ConnectTimeoutError):
                continue
        return _ask_at(last, method, checked, headers)


def _ask_at(
    address: str, method: str, checked: Checked, headers: dict[str, str]
) -> BaseHTTPResponse:
    pool = _pool(address, checked)
    with _ended_in_time(pool):
        return pool.urlopen(
            method,
            checked.target,
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
    """Shut the connection down when this takes longer than HEAD_SECONDS.

    A timeout of each read alone never ends a server that sends a byte now and then.
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
    """Of the body; None where only the end of the stream would tell."""
    text = response.headers.get("Content-Length", "")
    if "Transfer-Encoding" in response.headers or not re.fullmatch("[0-9]{1,18}", text):
        return None
    return int(text)


def _cut(
    response: BaseHTTPResponse, start: int, stop: int | None
) -> Generator[bytes, None, None]:
    """Bytes [start, stop) whatever part of the data the server sends."""
    if response.status == 416:
        return _blocks(response, 0, 0)
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    if _length(response) is None and not chunked:
        raise StoreError(
            "The web server says neither how large the data is nor where it ends."
        )
    if response.status == 200:
        return _blocks(response, start, None if stop is None else stop - start)
    end = _end_of_part(response, start, stop)
    return _blocks(response, 0, end - start, exact=True)


def _end_of_part(response: BaseHTTPResponse, start: int, stop: int | None) -> int:
    """Where the part that is sent ends: at ``stop``, or where the data ends."""
    sent = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if sent and int(sent[1]) == start:
        end, total = int(sent[2]) + 1, sent[3]
        if end == stop or (total.isdecimal() and end == int(total)):
            return end
    raise StoreError("The web server sent another part of the data than asked for.")


def _blocks(
    response: BaseHTTPResponse, skip: int, wanted: int | None, exact: bool = False
) -> Generator[bytes, None, None]:
    """``exact``: fewer than ``wanted`` bytes are an error."""
    size = -skip
    try:
        yield b""
        for block in min_rate.receive(_sent(response, skip, wanted), _too_slow):
            size += len(block)
            if size > 0:
                yield block
        if exact and size != wanted:
            raise StoreError(BROKEN_OFF)
    finally:
        response.close()


def _sent(response: BaseHTTPResponse, skip: int, wanted: int | None) -> Iterator[bytes]:
    """What is to be skipped and then what is wanted, in blocks that never have some of both."""
    for left in (skip, wanted):
        while left is None or left > 0:
            block = _read(response, BLOCK if left is None else min(BLOCK, left))
            if not block:
                return
            left = None if left is None else left - len(block)
            yield block


def _too_slow() -> StoreError:
    return StoreError("The web server sends its data far too slowly.")


def _nothing() -> Generator[bytes, None, None]:
    yield from ()


def _read(response: BaseHTTPResponse, count: int) -> bytes:
    """So many bytes, or what has come within a second; b"" only at the announced end.

    Not read(): it would wait for all of them, however slowly they drip. urllib3 compares the
    end with Content-Length itself.
    """
    parts, size, until = [], 0, time.monotonic() + 1.0
    with _own_errors(BROKEN_OFF):
        while size < count and time.monotonic() < until:
            chunk = response.read1(count - size, decode_content=False)
            if not chunk:
                break
            parts.append(chunk)
            size += len(chunk)
    return b"".join(parts)
