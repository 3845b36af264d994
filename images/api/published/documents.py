"""Responses with small files and pages of a published tree."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.http import http_date

from images.http import digest_fields, preconditions, responses
from images.models import PublishedIndex

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

    ``modified`` is the time of the document's last change. If-Modified-Since is heeded only for a
    document that will never change again (``is_fixed``), because a document can change twice in one
    second. Raises PreconditionFailed if the request has a condition, such as If-Match, that the
    document does not meet.
    """
    digest = hashlib.sha256(content).hexdigest()
    return _send(http, digest, lambda: content, kind, modified, is_fixed=is_fixed)


def send_index(http: HttpRequest, index: PublishedIndex) -> HttpResponse:
    """Return the response with an index of a published tree, or 304 (Not Modified).

    ``index.content`` is read only if it is sent, because it can be deferred. Raises
    PreconditionFailed if the request has a condition, such as If-Match, that the index does not
    meet.
    """
    kind = media_type(index.path)
    return _send(
        http, index.sha256, lambda: bytes(index.content), kind, index.modified_at
    )


def _send(
    http: HttpRequest,
    digest: str,
    read: Callable[[], bytes],
    kind: str,
    modified: datetime | None,
    *,
    is_fixed: bool = False,
) -> HttpResponse:
    etag = f"sha256-{digest}"
    if preconditions.has_current(http, etag, modified=modified if is_fixed else None):
        response = responses.not_modified(None)
    else:
        content = read()
        body = b"" if http.method == "HEAD" else content
        response = HttpResponse(body, content_type=kind)
        response.headers["Content-Length"] = str(len(content))
        response.headers["Repr-Digest"] = digest_fields.field({"sha256": digest})
    response.headers["ETag"] = f'"{etag}"'
    if modified is not None:
        response.headers["Last-Modified"] = http_date(modified.timestamp())
    return response
