"""Small things of a request: JSON documents, the absence of a body, text in headers."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpRequest

from images import errors
from images.http import streaming

# Far above what 128 properties need in practice.
LIMIT = 1 << 20  # bytes


def raw(request: HttpRequest) -> bytes:
    """The whole body, with Content-Length or chunked. Raises OverLimit, BodyIncomplete."""
    parts, size = [], 0
    for block in streaming.body(request):
        size += len(block)
        if size > LIMIT:
            raise errors.OverLimit(f"The request body exceeds {LIMIT} bytes.")
        parts.append(block)
    return b"".join(parts)


def header_text(value: str) -> str:
    """A header's value as its client meant it, in UTF-8. Raises UnicodeError."""
    return value.encode("latin-1").decode()  # WSGI gives the bytes as Latin-1


def json(request: HttpRequest) -> Any:
    """The body as JSON: an object or a list, whatever Content-Type says. Raises Invalid."""
    return document(raw(request))


def document(content: bytes) -> Any:
    """An object or a list. Raises Invalid."""
    if not content:
        raise errors.Invalid("Body expected in request.")
    found = parsed(content)
    if not isinstance(found, dict | list):
        raise errors.Invalid("Unexpected body type. Expected list/dict.")
    return found


def parsed(content: bytes) -> Any:
    """Any JSON value. Raises Invalid."""
    try:
        return orjson.loads(content)
    except ValueError:
        raise errors.Invalid("Malformed JSON in request body.") from None


def refuse(request: HttpRequest) -> None:
    """Raise Invalid when there is a body where none belongs."""
    for block in streaming.body(request):
        if block:
            raise errors.Invalid("A body is not expected with this request.")
