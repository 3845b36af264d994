"""Streams of data over HTTP: request bodies as blocks, and blocks as responses.

The module depends on HTTP and on gunicorn, but knows nothing of images.
"""

from __future__ import annotations

import math
import re
import socket
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext, suppress
from functools import partial
from inspect import GEN_CREATED, getgeneratorstate
from typing import Any, NamedTuple

from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from gunicorn.http.body import (  # type: ignore[import-untyped]
    Body,
    ChunkedReader,
    LengthReader,
)
from gunicorn.http.unreader import SocketUnreader  # type: ignore[import-untyped]

from images import errors, min_rate, process_metrics
from images.http import chunked, connection, expectation, preconditions
from images.http.chunked import BLOCK
from images.http.expectation import ExpectedBody
from images.http.ranges import parse_content_range, parse_range
from images.units import parse_number

DISCARDED = 4 << 20  # bytes of an unread body, because a client can send endlessly
MEDIA_TYPE = "application/octet-stream"
NUMBER = re.compile(r"[0-9]+", re.A)
STREAM = "imagecatalog.body"  # the key of the request's environment for the stream of its body
Stream = Generator[bytes, None, None]


# Receiving


def body_size(request: HttpRequest) -> int | None:
    """Return the size of the data in bytes that the request's headers state; None if they do not.

    ``x-openstack-image-size`` states the size of a chunked upload and overrides Content-Length.
    Raises Invalid if the size is not a number.
    """
    announced = request.headers.get("x-openstack-image-size")
    if announced is None:
        return content_length(request)
    if not NUMBER.fullmatch(announced):
        raise errors.Invalid("Invalid or missing image size in request headers.")
    return parse_number(announced)


def has_body(request: HttpRequest) -> bool:
    """Return whether a request has a body. A chunked body counts even if it is empty.

    Raises Invalid for a malformed Content-Length.
    """
    coded = request.META.get("HTTP_TRANSFER_ENCODING", "").strip()
    return bool(coded or content_length(request))


def body(request: HttpRequest, patience: float = math.inf) -> Iterator[bytes]:
    """Yield the body of a request as it arrives, in blocks of at most 1 MiB; can be called once.

    Raises BodyIncomplete if the client closes the connection, sends nothing for ``patience``
    seconds (at most IMAGECATALOG_BODY_TIMEOUT), sends too slowly while others wait, or violates
    the framing (RFC 9112 section 7.1), and ServerStopping once the service is stopping.
    """
    if STREAM in request.META:
        raise RuntimeError("The body of a request can be read only once.")
    patience = min(patience, settings.IMAGECATALOG_BODY_TIMEOUT)
    # The stream stays open when the reader stops early: `drain` continues it.
    yield from min_rate.receive(_stream(request, patience), connection.stalled)


def drain(request: HttpRequest) -> None:
    """Discard the unread bytes of a request body that have arrived, without waiting for more.

    If bytes of the body are still missing, the connection is closed after the response; the
    server then discards what still arrives. Can be called however much of the body was read
    before. A client that still waits for 100 (Continue) sends nothing, so nothing is discarded.
    """
    if expectation.is_pending(request):
        return
    sock = request.META.get("gunicorn.socket")
    left = DISCARDED
    # Invalid: the end of the body is unknown. ValueError: another thread is reading the body.
    with suppress(errors.ImageError, OSError, ValueError):
        stream = request.META.get(STREAM) or _stream(request, 0)
        with closing(stream):
            while left > 0:
                if sock is not None and getgeneratorstate(stream) != GEN_CREATED:
                    connection.set_patience(sock, 0)
                block = next(stream, None)
                if block is None:
                    return
                left -= len(block)
    close_after_response = request.META.get(connection.CLOSE)
    if close_after_response is not None:
        close_after_response()


def release_body(request: HttpRequest) -> None:
    """Discard the unread bytes of a request body, and delete the stream that reads it.

    Call it after the request: the connection cannot be used for another request before the end
    of the body. The last block would also stay in memory as long as the request, which Django
    REST framework makes part of a reference cycle.
    """
    if STREAM in request.META:
        drain(request)
        del request.META[STREAM]


def _stream(request: HttpRequest, patience: float) -> Stream:
    environ = request.META
    coding = environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower()
    if coding not in ("", "chunked"):
        raise errors.Invalid(
            "The transfer coding of the body is not supported. Use only 'chunked'."
        )
    length = content_length(request)
    source, sock = environ.get("wsgi.input"), environ.get("gunicorn.socket")
    unreader = _fresh_unreader(source, sock, length)
    if unreader is not None:
        stream = _from_gunicorn(source, unreader, patience)
    elif source is None or (
        length is None and not environ.get("wsgi.input_terminated")
    ):
        stream = _nothing()
    else:
        stream = _from_server(source, sock, length, patience)
    environ[STREAM] = stream
    return stream


def _fresh_unreader(
    source: Any, sock: Any, length: int | None
) -> SocketUnreader | None:
    """Return gunicorn's reader of the socket if the body can be read without gunicorn's parsers.

    Returns None otherwise, for example if bytes of the body were read before. This function and
    `_from_gunicorn` depend on internals of the gunicorn version that pyproject.toml names: a
    body of any other type or state is read as from any WSGI server.
    """
    if type(source) not in (Body, ExpectedBody) or source.buf.tell():
        return None
    if type(sock) not in (socket.socket, ssl.SSLSocket):
        return None
    reader = source.reader
    if type(reader) is ChunkedReader:
        unused = reader.parser and getgeneratorstate(reader.parser) == GEN_CREATED
        unreader = reader.req.unreader
    elif type(reader) is LengthReader:
        unused = reader.length == (length or 0)
        unreader = reader.unreader
    else:
        return None
    known = type(unreader) is SocketUnreader and unreader.sock is sock
    return unreader if unused and known else None


def _from_gunicorn(source: Body, unreader: SocketUnreader, patience: float) -> Stream:
    """Yield the body directly from the socket, because the copying in gunicorn's readers is slow.

    Until its end is reached, the body is marked as failed, so that gunicorn does not read
    another request from the connection. Bytes of a following request are given back to
    gunicorn. Raises BodyIncomplete, ServerStopping.
    """
    expectation.ask(source)
    source.failed = True
    reader, sock = source.reader, unreader.sock
    ahead = unreader.take_buffered()
    if type(reader) is ChunkedReader:
        with connection.receiving(sock, patience):
            fill = partial(connection.receive_into, sock)
            surplus = yield from chunked.blocks(fill, ahead)
        reader.parser = None
    else:
        ahead, surplus = ahead[: reader.length], ahead[reader.length :]
        if ahead:
            yield ahead
        if left := reader.length - len(ahead):
            with connection.receiving(sock, patience):
                yield from _counted(sock, left)
        reader.length = 0
    unreader.unread(surplus)
    source.failed = False


def _counted(sock: socket.socket, left: int) -> Stream:
    while left:
        block = connection.receive(sock, min(left, BLOCK))
        left -= len(block)
        yield block


def _from_server(
    source: Any, sock: socket.socket | None, length: int | None, patience: float
) -> Stream:
    """Yield the body from ``wsgi.input``, which every WSGI server has.

    Raises BodyIncomplete if the server raises any error while reading (each server has errors
    of its own), or if the body is too short; and ServerStopping.
    """
    left = length
    with connection.receiving(sock, patience) if sock else nullcontext():
        while left is None or left:
            try:
                block = source.read(BLOCK if left is None else min(left, BLOCK))
            except (BlockingIOError, TimeoutError) as error:
                raise connection.stalled() from error
            except Exception as error:
                raise connection.cut_off() from error
            connection.check_service()
            if not block and left:
                raise connection.cut_off()
            if not block:
                return
            left = None if left is None else left - len(block)
            yield block


def _nothing() -> Stream:
    yield from ()


def content_length(request: HttpRequest) -> int | None:
    """Return the number in the header Content-Length, in bytes; None without the header.

    A size beyond 64 bits becomes the largest 64-bit integer. Raises Invalid if the header is
    not a number.
    """
    stated = request.META.get("CONTENT_LENGTH") or None
    if stated is not None and not NUMBER.fullmatch(stated):
        raise errors.Invalid(
            "The header Content-Length is not a number of bytes. Send the size of the body."
        )
    return None if stated is None else parse_number(stated)


# Sending


def content_range(
    request: HttpRequest, size: int, etag: str | None = None
) -> tuple[int, int] | None:
    """Return the requested range [start, stop) of data of ``size`` bytes; None for the whole data.

    Returns None also if If-Range has another ETag than the data's ``etag``. Raises Invalid
    for several ranges, RangeNotSatisfiable for a range that is not within the data.
    """
    if not preconditions.allows_range(request, etag):
        return None
    wanted = parse_range(request.headers.get("Range"), size)
    if wanted is not None:
        return wanted
    return parse_content_range(request.headers.get("Content-Range"), size)


def download(
    blocks: Iterator[bytes],
    size: int,
    part: tuple[int, int] | None,
    checksum: str | None,
    direct: Direct | None = None,
) -> StreamingHttpResponse:
    """Return the response that sends ``blocks``: all of an image's data, or only the range ``part``.

    ``size`` (bytes) and ``checksum`` (MD5, hexadecimal) describe the whole data; ``part`` is
    [start, stop), or None. If ``blocks`` ends early the connection is closed, so that no client
    considers the data complete. ``direct`` is the result of ``direct_to`` for ``blocks``: with
    it the kernel sends the data.
    """
    start, stop = part or (0, size)
    count = stop - start
    content = _sent(blocks, direct, count) if direct else _exactly(blocks, count)
    response = StreamingHttpResponse(content, content_type=MEDIA_TYPE)
    _describe(response, count, checksum)
    if part:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    # A generator that was never started does not run its `finally` when it is closed.
    response._resource_closers.append(partial(close, blocks))  # type: ignore[attr-defined]
    return response


def close(blocks: Iterator[bytes]) -> None:
    """Call the method ``close`` of an iterator of blocks, if it has one, to release its resources."""
    if hasattr(blocks, "close"):
        blocks.close()


def description(size: int, checksum: str | None) -> HttpResponse:
    """Return the response to HEAD: the headers of a download of all data, without the data.

    ``size`` is in bytes; ``checksum`` is the MD5 in hexadecimal.
    """
    response = HttpResponse(content_type=MEDIA_TYPE)
    _describe(response, size, checksum)
    return response


def _describe(
    response: HttpResponse | StreamingHttpResponse, count: int, checksum: str | None
) -> None:
    response.headers["Content-Length"] = str(count)
    response.headers["Accept-Ranges"] = "bytes"
    # The data may be an HTML page of a user; the browser admin has the same origin.
    response.headers["X-Content-Type-Options"] = "nosniff"
    if checksum:
        response.headers["Content-MD5"] = checksum


def without_ranges(response: HttpResponseBase) -> HttpResponseBase:
    """Add Accept-Ranges: none to a response (RFC 9110 section 14.3), and return the response."""
    response.headers["Accept-Ranges"] = "none"
    return response


class Direct(NamedTuple):
    """A client's connection to which the kernel can write a file.

    ``send_rest(blocks, count)`` lets another thread send the remaining ``count`` bytes, so that
    the thread of the request is free; None if the server does not support this.
    """

    sock: socket.socket
    send_rest: Callable[[Any, int], None] | None


def direct_to(request: HttpRequest, blocks: Iterator[bytes]) -> Direct | None:
    """Return the client's connection if the kernel can write ``blocks`` to it; None otherwise.

    The kernel can do so if ``blocks`` is a file, and the connection has no TLS.
    """
    sock = request.META.get("gunicorn.socket")
    # A TLS socket is of the class SSLSocket, so it is refused.
    if type(sock) is not socket.socket or not hasattr(blocks, "send_to"):
        return None
    return Direct(sock, request.META.get(connection.SEND_REST))


def _sent(blocks: Any, direct: Direct, count: int) -> Iterator[bytes]:
    yield b""  # makes the server send the status line and the headers first
    left = count
    if direct.send_rest is not None:
        left -= connection.send_at_once(direct.sock, blocks, left)
        if left:
            direct.send_rest(blocks.take(), left)
        return
    with closing(blocks.take()) as rest:
        while left:
            sent = rest.send_to(direct.sock, left)
            if not sent:
                raise _too_short(left)
            left -= sent


def _exactly(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    left = count
    for block in blocks:
        part = block[:left]
        yield part
        process_metrics.count("download_bytes_total", by=len(part))
        left -= len(part)
        if not left:
            return
    if left:
        raise _too_short(left)


def _too_short(left: int) -> errors.StoreError:
    return errors.StoreError(
        f"The store ended the data {left} bytes early, so the download was aborted. Try again."
    )
