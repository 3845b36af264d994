"""Conditional requests for data: If-Match, If-None-Match and If-Range (RFC 9110 section 13).

Dates are ignored, because the data has no Last-Modified (sections 13.1.3 and 13.1.4).
"""

from __future__ import annotations

import re

from django.http import HttpRequest

from images import errors

# Unquoted tags too: API v1 has always sent its ETag without quotes.
TAG = re.compile(r'(W/)?(?:"([^"]*)"|([^\s,"]+))')
SAFE = ("GET", "HEAD")


class PreconditionFailed(errors.ImageError):
    """A condition in the headers of the request, such as If-Match, is not met by the data."""

    code = "precondition-failed"


def has_current(request: HttpRequest, etag: str | None, *, exists: bool = True) -> bool:
    """Return whether a reading client has the current data already, so that the response is 304.

    ``etag`` is that of the data, None if it has none; ``exists`` tells whether there is any
    data. Raises PreconditionFailed if If-Match or If-None-Match forbids the request.
    """
    required = request.META.get("HTTP_IF_MATCH")
    if required is not None and not _names(required, etag, exists, weak=False):
        raise _failed("If-Match")
    known = request.META.get("HTTP_IF_NONE_MATCH")
    if known is None or not _names(known, etag, exists, weak=True):
        return False
    if request.method in SAFE:
        return True
    raise _failed("If-None-Match")


def allows_range(request: HttpRequest, etag: str | None) -> bool:
    """Return whether to send only the requested range: not if If-Range has another ETag."""
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
