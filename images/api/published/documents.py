"""Responses with small files and pages of a published tree."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.http import http_date

from images.http import digest_fields, preconditions, responses

HTML: Final = "text/html; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "gpg": "application/octet-stream",
    "json": "application/json",
    "xz": "application/x-xz",
}


def media_type(name: str) -> str:
    """Return the media type of a file, by its name."""
    return TYPES.get(name.rpartition(".")[2], TEXT)


def send(
    http: HttpRequest,
    content: bytes,
    kind: str,
    modified: datetime | None = None,
    *,
    is_fixed: bool = False,
) -> HttpResponse:
    """Return the response with a small document of the media type ``kind``, or 304 (Not Modified).

    ``modified`` is when it changed last. Only if it never changes again (``is_fixed``) is
    If-Modified-Since heeded: there can be two changes in a second. Raises PreconditionFailed.
    """
    digest = hashlib.sha256(content)
    etag = f"sha256-{digest.hexdigest()}"
    if preconditions.has_current(http, etag, modified=modified if is_fixed else None):
        response = responses.not_modified(None)
    else:
        body = b"" if http.method == "HEAD" else content
        response = HttpResponse(body, content_type=kind)
        response.headers["Content-Length"] = str(len(content))
        response.headers["Repr-Digest"] = digest_fields.field(
            {"sha256": digest.hexdigest()}
        )
    response.headers["ETag"] = f'"{etag}"'
    if modified is not None:
        response.headers["Last-Modified"] = http_date(modified.timestamp())
    return response
