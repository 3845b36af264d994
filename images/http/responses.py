"""HTTP responses: JSON documents, empty responses, and errors in the format that Accept names."""

from __future__ import annotations

import json as standard_json
from datetime import UTC, datetime
from html import escape
from http.client import responses
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

# Clients of this API know the reason phrases of RFC 2616; newer Pythons have newer phrases.
REASONS = responses | {
    413: "Request Entity Too Large",
    416: "Requested Range Not Satisfiable",
}
RETRY_SECONDS = 5  # for Retry-After while the service is busy (RFC 9110, 10.2.3)

HTML, JSON, TEXT = "text/html", "application/json", "text/plain"
LONGEST_ACCEPT = 1000  # characters; parsing a longer header would take too long


def json(document: Any, status: int = 200) -> HttpResponse:
    """Return a response with a JSON document."""
    return _reply(orjson.dumps(document), JSON, status)


def versioned(document: Any, version: int, status: int = 200) -> HttpResponse:
    """Return a response with the JSON document of an object whose ETag is its version, a number."""
    response = json(document, status)
    response.headers["ETag"] = f'"{version}"'
    return response


def spaced_json(document: Any, status: int = 200) -> HttpResponse:
    """Return a response with a JSON document that has spaces after its commas and colons.

    Clients that compare bytes need it. It takes six times as long as ``json``.
    """
    return _reply(standard_json.dumps(document).encode(), JSON, status)


def text(content: str, status: int = 200) -> HttpResponse:
    """Return a response with plain text."""
    return _reply(content.encode(), TEXT, status)


def nothing(status: int = 204) -> HttpResponse:
    """Return a response with an empty body, by default 204 (No Content)."""
    return _reply(b"", "text/html; charset=UTF-8", status)


def not_modified(etag: str | None) -> HttpResponse:
    """Return the response 304 (Not Modified), for a client that has the current data already."""
    response = HttpResponse(status=304)
    del response.headers["Content-Type"]
    if etag:
        response.headers["ETag"] = etag
    return response


def error(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """Return an error response as HTML, JSON or plain text, whichever Accept prefers."""
    form = _error_form(request)
    reason = REASONS.get(status, "Error")
    title = f"{status} {reason}"
    if form == JSON:
        document = {
            "message": f"{message}<br /><br />\n\n\n",
            "code": title,
            "title": reason,
        }
        return json(document, status)
    if form == TEXT:
        text = f"{title}\n\n{message}\n\n"
        return _reply(text.encode(), "text/plain; charset=UTF-8", status)
    shown = escape(message, quote=False)  # clients print quotes as they are sent
    page = (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n"
        f"  <h1>{title}</h1>\n  {shown}<br /><br />\n\n\n\n </body>\n</html>"
    )
    return _reply(page.encode(), "text/html; charset=UTF-8", status)


def suppress_log(response: HttpResponse) -> None:
    """Keep Django from logging a response, because its reason is in the log already."""
    response._has_been_logged = True  # type: ignore[attr-defined]


def instant(moment: datetime) -> str:
    """Format a time for a JSON document: UTC, with microseconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def second(moment: datetime) -> str:
    """Format a time for a JSON document: UTC, without a fraction."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def second_or_none(moment: datetime | None) -> str | None:
    """Format a time as ``second`` does; None stays None."""
    return None if moment is None else second(moment)


def _error_form(request: HttpRequest) -> str:
    """Return the media type of an error response: HTML, JSON or plain text, as Accept prefers.

    The default is plain text. An empty Accept gives JSON: openstacksdk sends it with uploads
    and patches, and shows the message of an error only if the response is JSON or HTML.
    """
    accept = request.META.get("HTTP_ACCEPT")
    if accept is None or len(accept) > LONGEST_ACCEPT:
        return TEXT
    if not accept.strip():
        return JSON
    try:
        return request.get_preferred_type([HTML, JSON, TEXT]) or TEXT
    except ValueError:  # a malformed parameter
        return TEXT


def _reply(content: bytes, content_type: str, status: int) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type, status=status)
    response.headers["Content-Length"] = str(len(content))
    return response
