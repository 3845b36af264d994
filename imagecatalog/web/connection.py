"""A client's connection, which collects the bytes of a request until a thread can handle it.

A thread gets a request when its head has arrived and, unless the body is the data of an image, its
body too. All functions here run in the main thread and never block.

This module depends on internals of the gunicorn version that pyproject.toml names.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from contextlib import suppress
from typing import Any, Final

from django.conf import settings
from gunicorn.http.body import (  # type: ignore[import-untyped]
    ChunkedReader,
    LengthReader,
)
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    LimitRequestHeaders,
    LimitRequestLine,
)
from gunicorn.http.parser import RequestParser  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn  # type: ignore[import-untyped]

from imagecatalog.web.sending import Download
from images import errors, min_rate
from images.http import chunked, client_address, expectation, request_body

BLOCK: Final = 1 << 16  # bytes received at once
# Bytes. gunicorn would parse longer heads in quadratic time.
HEAD_LIMIT: Final = 1 << 17
BODY_LIMIT: Final = request_body.LIMIT
FRAMING_LIMIT: Final = 1 << 16  # bytes of chunk sizes: tiny chunks take long to decode
SILENCE: Final = 60  # s that a connection can stay open without a byte sent or received
HEAD_SECONDS: Final = 10.0  # for a whole head, and until the first byte of a connection
END_OF_HEAD: Final = b"\r\n\r\n"
FORWARDED_FOR: Final = "X-FORWARDED-FOR"
BARE_LF = re.compile(rb"(?<!\r)\n")
# Requests with the data of an image: a thread reads the body as it arrives.
DATA_REQUEST = re.compile(
    "PUT /v2[^/]*/images/[^/]+/(?:file|stage)"
    "|(?:PATCH|POST) (?:/v2[^/]*/images|/admin/images/image)/[^/]+/uploads/[^/]+"
    "|(?:POST|PUT) /v1[^/]*/(?:images(?:/[^/]*)?)?"
)


class LimitRequestBody(Exception):
    """The error for a request whose body is too large.

    Bodies with the data of an image have no such limit.
    """


def limit_silence(sock: Any) -> None:
    """Set a timeout of 60 seconds for each read from a socket and each write to it.

    The connections that a TCP socket accepts inherit the timeout, those of a Unix socket do
    not.
    """
    limit = struct.pack("@ll", SILENCE, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


class Parser(RequestParser):  # type: ignore[misc]
    """gunicorn's parser, which can keep a request that it has parsed in advance."""

    _parsed: Any = None
    _failure: Exception | None = None

    def parse(self, data: bytes) -> Any:
        """Parse ``data``, which has a complete request head; return the request.

        The parser also keeps the request, for the thread that calls ``next``. If parsing fails, the
        error is kept for that thread instead, and None is returned.
        """
        self.unreader.unread(data)
        try:
            self._parsed = super().__next__()
        except Exception as error:
            self._failure = error
        return self._parsed

    def __next__(self) -> Any:
        """Return the request, or raise the error, that ``parse`` has kept; without one, parse the next."""
        parsed, failure = self._parsed, self._failure
        self._parsed = self._failure = None
        if failure is not None:
            raise failure
        return parsed or super().__next__()

    next = __next__


class Connection(TConn):  # type: ignore[misc]
    """gunicorn's connection, with the bytes of a request that has not arrived completely."""

    def __init__(
        self, cfg: Any, sock: Any, client: Any, server: Any, tls: ssl.SSLContext | None
    ) -> None:
        """Wrap an accepted socket. Raises OSError if the client has already disconnected."""
        super().__init__(cfg, sock, client, server)
        if sock.family == socket.AF_UNIX:
            limit_silence(sock)
        if tls is not None:
            self.sock = tls.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False
            )
        self.parser = Parser(cfg, self.sock, client)
        self.initialized = True
        self.is_secure = self._is_shaking_hands = tls is not None
        self.peer = client[0] if isinstance(client, tuple) else ""
        self.address = client_address.network_of(self.peer)
        self.deadline = time.monotonic() + HEAD_SECONDS
        self.arrived_at = 0.0  # the last complete request; monotonic, in seconds
        self.is_new = True  # nobody has tried to read from it
        self.is_lingering = False  # no more responses follow
        self.discarded = 0  # bytes received since it lingers
        self.download: Download | None = None  # the rest of a response
        self.held = 0  # bytes that this process holds for the connection
        self.restart()

    def init(self) -> None:
        """Set the timeout of a TLS socket to 60 seconds, so that a thread does not wait for ever.

        gunicorn calls this in the thread that handles a request. The timeout of the kernel does not
        end the wait, because Python repeats a read or write on a TLS socket.
        """
        if self.is_secure:
            self.sock.settimeout(SILENCE)

    def restart(self) -> None:
        """Clear the state of the last request, so that the next request can arrive."""
        self.request: Any = None
        self._data = bytearray()
        self._searched = 0  # bytes that do not contain the end of the head
        self._body_began = 0.0
        self._framing: chunked.Framing | None = None
        self._decoded = self._payload = 0  # bytes of a chunked body

    @property
    def has_begun(self) -> bool:
        """Whether the first bytes of a request have arrived."""
        return self.request is not None or bool(self._data)

    def is_finished(self) -> bool:
        """Return whether the client will send nothing more, and all bytes that it has sent were read."""
        request = self.parser.mesg
        if request is None or self.request is None or request.body.failed:
            return False
        reader = request.body.reader
        is_read = not (reader.length if type(reader) is LengthReader else reader.parser)
        buffered = self.parser.unreader.buf.getbuffer().nbytes
        return bool(is_read and not buffered and request.should_close())

    def receive(self) -> bytes | None:
        """Return the bytes that have arrived, without waiting; None if none have arrived.

        Returns ``b""`` if the client has closed the connection, or the connection has failed.
        """
        try:
            if self._is_shaking_hands:
                self.sock.do_handshake()
                self._is_shaking_hands = False
            data: bytes = self.sock.recv(BLOCK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""
        return data

    def send_rest(self, blocks: Any, left: int) -> None:
        """Let another thread send the rest of the response: ``left`` more bytes of ``blocks``.

        This function only sets ``self.download``. The worker gives the download to the other thread
        when the request has been handled.
        """
        self.download = Download(self.sock, blocks, left)

    def add(self, data: bytes) -> bool:
        """Add received bytes to the request; return True if a thread can handle the request now.

        True also for a malformed request, which the thread refuses. Raises LimitRequestLine,
        LimitRequestHeaders or LimitRequestBody if that part of the request is too large.
        """
        if not self.has_begun:
            self.deadline = time.monotonic() + HEAD_SECONDS
        self._data += data
        self.held += len(data)
        is_ready = self._has_head() if self.request is None else self._has_body()
        if is_ready:
            self.give_back()
        return is_ready

    def give_back(self) -> None:
        """Give the collected bytes to gunicorn's parser, which then reads on from the socket."""
        self.parser.unreader.unread(bytes(self._data))
        self._data = bytearray()

    def _has_head(self) -> bool:
        end = self._data.find(END_OF_HEAD, max(self._searched - 3, 0))
        if (len(self._data) if end < 0 else end) > HEAD_LIMIT:
            if b"\r\n" in self._data[:HEAD_LIMIT]:
                raise LimitRequestHeaders("the head is too large")
            raise LimitRequestLine(len(self._data), HEAD_LIMIT)
        if end < 0:
            # gunicorn refuses a head with such line ends. Its end might never be found here.
            is_malformed = BARE_LF.search(self._data, max(self._searched - 1, 0))
            self._searched = len(self._data)
            return is_malformed is not None
        self.request = self.parser.parse(bytes(self._data))
        self._data = bytearray(self.parser.unreader.take_buffered())
        if self.request is None:
            return True
        return self._needs_no_body() or self._has_body()

    def _needs_no_body(self) -> bool:
        request, reader = self.request, self.request.body.reader
        if settings.IMAGECATALOG_TRUSTED_PROXIES:
            self._count_by_client()
        if DATA_REQUEST.fullmatch(f"{request.method} {request.path}"):
            return True
        if type(reader) is LengthReader and not 0 < reader.length <= self._most():
            return True
        if type(reader) is ChunkedReader:
            self._framing = chunked.Framing()
        self._body_began = time.monotonic()
        if request._expected_100_continue and not self._data:
            request._expected_100_continue = False
            self._ask_for_body()
        return False

    def _most(self) -> int:
        """Return the size limit in bytes of a body that is received before a thread gets the request.

        A request with a larger body goes to a thread at once, which refuses it without reading the
        body.
        """
        if self.request.path.startswith(settings.IMAGECATALOG_BROWSER_PATHS):
            return max(BODY_LIMIT, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        return BODY_LIMIT

    def _ask_for_body(self) -> None:
        with suppress(OSError):  # the next event shows that the connection is broken
            self.sock.send(expectation.CONTINUE)

    def _count_by_client(self) -> None:
        forwarded = [v for name, v in self.request.headers if name == FORWARDED_FOR]
        environ = {
            "REMOTE_ADDR": self.peer,
            "HTTP_X_FORWARDED_FOR": ",".join(forwarded),
        }
        client = client_address.client_of(environ)
        self.address = client_address.network_of(client)

    def _has_body(self) -> bool:
        if self._framing is None:
            is_whole = bool(len(self._data) >= self.request.body.reader.length)
        else:
            is_whole = self._is_decoded(self._framing)
        now = time.monotonic()
        earned = min_rate.GRACE + len(self._data) / min_rate.SLOWEST
        self.deadline = min(
            self._body_began + earned, now + settings.IMAGECATALOG_BODY_TIMEOUT
        )
        return is_whole

    def _is_decoded(self, framing: chunked.Framing) -> bool:
        """Decode the received part of a chunked body; return True if a thread can take the request now.

        That is when the body is complete, malformed or too large (the thread refuses the latter
        two). Raises LimitRequestBody if the chunk sizes take too many bytes.
        """
        views: list[memoryview] = []
        try:
            while not framing.done and self._payload <= BODY_LIMIT:
                before = self._decoded
                self._decoded = framing.cut(self._data, before, len(self._data), views)
                self._payload += sum(map(len, views))
                views.clear()
                if self._decoded == before:
                    break
        except errors.BodyIncomplete:
            return True
        if framing.done or self._payload > BODY_LIMIT:
            return True
        if self._decoded - self._payload > FRAMING_LIMIT:
            raise LimitRequestBody
        return False
