"""Error responses, in the form of the API, to requests that do not reach Django."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.http.message import TOKEN_RE, Request  # type: ignore[import-untyped]
from gunicorn.http.wsgi import Response, default_environ  # type: ignore[import-untyped]
from gunicorn.util import http_date  # type: ignore[import-untyped]

from imagecatalog.web import measuring
from imagecatalog.web.connection import LimitRequestBody
from images.errors import SERVICE_FAILED
from images.http import client_address, responses
from images.http.request_ids import HEADER, request_id_of

FAILED: Final = 500, SERVICE_FAILED
LOGGED: Final = 200  # characters of what was malformed


class TooSlow(Exception):
    """The error for a request that did not arrive completely in time."""


class TooManyConnections(Exception):
    """The error for a connection that the process closes to make room.

    The process has too many connections, or has received too many bytes of requests.
    """


OVER_LIMIT: Final = (
    errors.LimitRequestLine,
    errors.LimitRequestHeaders,
    LimitRequestBody,
)
REFUSALS: Final[dict[type[Exception], tuple[int, str]]] = {
    TooSlow: (408, "The request arrived too slowly. Send it again."),
    TooManyConnections: (
        503,
        "Too many connections are open. Use fewer, and try again in a few seconds.",
    ),
    LimitRequestBody: (413, "The body is too large. Send it in larger chunks."),
    errors.LimitRequestLine: (
        414,
        "The URL is too long. Use fewer or shorter query parameters.",
    ),
    errors.LimitRequestHeaders: (
        431,
        "The request headers are too many or too large. Send fewer or shorter ones.",
    ),
    errors.ExpectationFailed: (
        417,
        "The header Expect has an unknown value. Use only '100-continue'.",
    ),
    errors.UnsupportedTransferCoding: (
        501,
        "The transfer coding of the body is not supported. Use only 'chunked'.",
    ),
    errors.InvalidRequestLine: (400, "The request line is malformed."),
    errors.ObsoleteFolding: (400, "A header is folded. Send it in one line."),
    errors.ParseException: (400, "The request is malformed."),
}


def answer(worker: Any, req: Any, client: Any, addr: Any, exc: Exception) -> None:
    """Send an error response to a request that did not reach Django, and log it.

    ``req`` is the request if gunicorn has parsed it, ``client`` the client's socket, ``addr``
    the client's address, and ``exc`` the error.
    """
    if not isinstance(req, Request):
        req = getattr(exc, "req", None)
    parsed = req if isinstance(req, Request) else None
    request = _request(parsed)
    status, message = _refusal(exc)
    response = responses.error(request, status, message)
    response.headers[HEADER.lower()] = request_id_of(request)
    if status == 503:
        response.headers["Retry-After"] = str(responses.RETRY_SECONDS)
    request.META["REMOTE_ADDR"] = addr[0] if isinstance(addr, tuple) else ""
    measuring.refused(request.method or "", parsed.path if parsed else "", status)
    _log_refusal(worker, response, request, exc)
    if parsed is not None:
        _log_access(worker, response, request, parsed, client)
    with suppress(OSError):
        client.sendall(_message(response, request))


def _log_refusal(
    worker: Any, response: HttpResponse, request: HttpRequest, exc: Exception
) -> None:
    request_id = response.headers[HEADER.lower()]
    if response.status_code == 500:
        worker.log.error("request %s failed", request_id, exc_info=exc)
        return
    reason = f"{type(exc).__name__}: {exc}"[:LOGGED]
    sender = client_address.client(request)
    worker.log.warning("refused request %s of %s: %s", request_id, sender, reason)


def _log_access(
    worker: Any,
    response: HttpResponse,
    request: HttpRequest,
    parsed: Any,
    client: Any,
) -> None:
    answer = Response(parsed, client, worker.cfg)
    answer.status = f"{response.status_code} {response.reason_phrase}"
    answer.headers = list(response.headers.items())
    environ = default_environ(parsed, client, worker.cfg)
    environ[client_address.CLIENT] = client_address.client(request)
    worker.log.access(answer, parsed, environ, timedelta())


def _request(parsed: Any) -> HttpRequest:
    """Return a Django request with the method and headers of ``parsed``, gunicorn's request.

    If ``parsed`` is None, the result is a GET request without headers.
    """
    request = HttpRequest()
    request.method = parsed.method if parsed else "GET"
    for name, value in parsed.headers if parsed else ():
        request.META[f"HTTP_{name.replace('-', '_')}"] = value
    return request


def _refusal(exc: Exception) -> tuple[int, str]:
    """Return the status code and the message with which to answer an error; 500 if it is unknown."""
    sent_by_us = errors.InvalidResponseHeader, errors.InvalidResponseHeaderName
    if isinstance(exc, (*sent_by_us, errors.ConfigurationProblem)):
        return FAILED
    if isinstance(exc, errors.InvalidRequestMethod) and TOKEN_RE.fullmatch(exc.method):
        return 501, "The method of the request is not implemented."
    if isinstance(exc, errors.InvalidHTTPVersion) and isinstance(exc.version, tuple):
        return 505, "This version of HTTP is not supported. Use HTTP/1.1."
    if isinstance(exc, errors.InvalidHeader | errors.InvalidHeaderName):
        return 400, f"{_named(exc.hdr)} is missing, repeated or malformed."
    for kind in type(exc).__mro__:
        if kind in REFUSALS:
            return REFUSALS[kind]
    return FAILED


def _named(header: str) -> str:
    is_name = TOKEN_RE.fullmatch(header) and len(header) <= LOGGED
    return f"The header {header.title()}" if is_name else "A header"


def _message(response: HttpResponse, request: HttpRequest) -> bytes:
    """Return a response as the bytes of an HTTP message; without a body if the request is HEAD."""
    response.headers["Date"] = http_date()
    response.headers["Connection"] = "close"
    line = f"HTTP/1.1 {response.status_code} {response.reason_phrase}\r\n"
    content = b"" if request.method == "HEAD" else response.content
    return line.encode() + response.serialize_headers() + b"\r\n\r\n" + content
