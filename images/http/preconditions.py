"""Conditional requests for data: If-Match, If-None-Match and If-Range (RFC 9110 section 13).

Dates in conditions count only for data that has a Last-Modified (sections 13.1.3 and 13.1.4), and
never in If-Range, because data can change twice in one second.
"""

from __future__ import annotations

import re
from datetime import datetime

from django.http import HttpRequest
from django.utils.http import parse_http_date_safe

from images import errors

# Matches unquoted tags, too: API v1 has always sent its ETag without quotes.
TAG = re.compile(r'(W/)?(?:"([^"]*)"|([^\s,"]+))')
SAFE = ("GET", "HEAD")
_VERSION = re.compile("[0-9]{1,18}")


class PreconditionFailed(errors.ImageError):
    """The error for a request with a condition, such as If-Match, that the data does not meet."""

    code = "precondition-failed"


def has_current(
    request: HttpRequest,
    etag: str | None,
    *,
    exists: bool = True,
    modified: datetime | None = None,
) -> bool:
    """Return whether a client that reads data already has the current data, so that 304 is the answer.

    ``etag`` is the ETag of the data, or None; ``exists`` tells whether there is any data;
    ``modified`` is its Last-Modified, None if it has none.
    Raises PreconditionFailed if If-Match or If-None-Match forbids the request.
    """
    required = request.META.get("HTTP_IF_MATCH")
    if required is not None and not _names(required, etag, exists, weak=False):
        raise _failed("If-Match")
    known = request.META.get("HTTP_IF_NONE_MATCH")
    if known is None and modified is not None and request.method in SAFE:
        since = parse_http_date_safe(request.META.get("HTTP_IF_MODIFIED_SINCE", ""))
        return since is not None and since >= int(modified.timestamp())
    if known is None or not _names(known, etag, exists, weak=True):
        return False
    if request.method in SAFE:
        return True
    raise _failed("If-None-Match")


def versions(request: HttpRequest) -> frozenset[int] | None:
    """Return the versions of an object that the header If-Match accepts; None if it accepts any.

    The ETag of the object must be its version, a number. Without the header, any version is
    accepted.
    """
    header = request.META.get("HTTP_IF_MATCH")
    if header is None or header.strip() == "*":
        return None
    tags = (match[2] for match in TAG.finditer(header) if not match[1])
    return frozenset(int(tag) for tag in tags if tag and _VERSION.fullmatch(tag))


def allows_range(request: HttpRequest, etag: str | None) -> bool:
    """Return whether a requested range can be sent; False if If-Range names other data.

    If the result is False, the client gets the whole data.
    """
    known = request.META.get("HTTP_IF_RANGE")
    return known is None or _names(known, etag, False, weak=False)


def _names(header: str, etag: str | None, exists: bool, *, weak: bool) -> bool:
    if header.strip() == "*":
        return exists
    tags = (
        match[2] if match[2] is not None else match[3]
        for match in TAG.finditer(header)
        if weak or not match[1]
    )
    return etag is not None and etag in tags


def _failed(name: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"The data is not in the state that the header {name} requires. Ask for the image, "
        "and send the request again for its present state."
    )
