"""HTTP responses: JSON documents, empty ones, and errors in the format that Accept names."""

from __future__ import annotations

from datetime import UTC, datetime
from http.client import responses
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils.html import escape

# Clients of this API know the reason phrases of RFC 2616; newer Pythons have newer phrases.
REASONS = responses | {
    413: "Request Entity Too Large",
    416: "Requested Range Not Satisfiable",
}


def json(document: Any, status: int = 200) -> HttpResponse:
    """Return a response with a JSON document."""
    return _reply(orjson.dumps(document), "application/json", status)


def nothing(status: int = 204) -> HttpResponse:
    """Return an empty response."""
    return _reply(b"", "text/html; charset=UTF-8", status)


def not_modified(etag: str | None) -> HttpResponse:
    """Return the response 304, for a client that has the data already."""
    response = HttpResponse(status=304)
    del response.headers["Content-Type"]
    if etag:
        response.headers["ETag"] = etag
    return response


def error(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """Return an error response as HTML, JSON or plain text.

    HTML is the default; an empty Accept, which openstacksdk sends, means plain text.
    """
    if request.method == "HEAD":
        return nothing(status)
    accept = request.META.get("HTTP_ACCEPT")
    reason = REASONS.get(status, "Error")
    title = f"{status} {reason}"
    if accept is not None and (not accept or "text/plain" in accept):
        text = f"{title}\n\n{message}\n\n"
        return _reply(text.encode(), "text/plain; charset=UTF-8", status)
    if accept and "application/json" in accept:
        document = {
            "message": f"{escape(message)}<br /><br />\n\n\n",
            "code": title,
            "title": reason,
        }
        return json(document, status)
    page = (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n"
        f"  <h1>{title}</h1>\n  {escape(message)}<br /><br />\n\n\n\n </body>\n</html>"
    )
    return _reply(page.encode(), "text/html; charset=UTF-8", status)


def instant(moment: datetime) -> str:
    """Format a time for a JSON document: UTC, with microseconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _reply(content: bytes, content_type: str, status: int) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type, status=status)
    response.headers["Content-Length"] = str(len(content))
    return response
