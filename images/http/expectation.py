"""The expectation 100-continue: the client waits for 100 (Continue) before it sends its body.

RFC 9110 section 10.1.1. gunicorn would send 100 before any view has looked at the request.
This module depends on internals of the gunicorn version that pyproject.toml names.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any

from django.http import HttpRequest
from gunicorn.http.body import Body, LengthReader  # type: ignore[import-untyped]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ExpectedBody(Body):  # type: ignore[misc]
    """A request body whose client waits for 100 (Continue); the first read sends this response.

    If the final response is sent before the first read, the connection is closed after it,
    because the client then can send the body or leave it out.
    """

    def __init__(self, request: Any) -> None:
        """Create the body from a gunicorn request, to replace ``request.body``."""
        super().__init__(request.body.reader)
        self._request, self._must_close = request, request.must_close
        self.is_awaited = True
        self.failed = True  # so that gunicorn does not read it after the response
        request.must_close = True

    def ask(self) -> None:
        """Send 100 (Continue), unless it was sent already or the body has begun to arrive."""
        if not self.is_awaited:
            return
        if not self.has_begun():
            with suppress(OSError):  # the following read reports a broken connection
                self._request.unreader.sock.sendall(CONTINUE)
        self.is_awaited = self.failed = False
        self._request.must_close = self._must_close

    def has_begun(self) -> bool:
        """Return whether bytes of the body have arrived, or the client has closed the connection."""
        unreader = self._request.unreader
        if unreader.buf.getbuffer().nbytes:
            return True
        poll = select.poll()
        poll.register(unreader.sock, select.POLLIN)
        return bool(poll.poll(0))

    def _read_reader(self, size: int) -> Any:
        self.ask()
        return super()._read_reader(size)


def defer(request: Any) -> None:
    """Make a gunicorn request send 100 (Continue) when its body is first read, not earlier.

    Does nothing if the client does not wait for 100, or the body is empty.
    """
    if not request._expected_100_continue:
        return
    request._expected_100_continue = False
    reader = request.body.reader
    if type(reader) is not LengthReader or reader.length:
        request.body = ExpectedBody(request)


def is_pending(request: HttpRequest) -> bool:
    """Return whether the client still waits for 100 (Continue), and no byte of its body has arrived."""
    body = request.META.get("wsgi.input")
    return isinstance(body, ExpectedBody) and body.is_awaited and not body.has_begun()


def ask(body: object) -> None:
    """Send 100 (Continue) if a request body is an ExpectedBody whose client waits for this response."""
    if isinstance(body, ExpectedBody):
        body.ask()
