"""Small request bodies, such as JSON documents, and the check that a request has no body."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
from django.http import HttpRequest

from images import errors
from images.http import content_headers, streaming

NOT_EXPECTED = "A body is not expected with this request."
LIMIT = 1 << 20  # bytes, far more than 128 properties need in practice
SMALL = 1 << 16  # bytes, for documents with few and short values
MAX_VALUES = 10_000  # in a document, however short they are
PATIENCE = 5.0  # seconds for a body that is refused


class BodyTooLarge(errors.OverLimit):
    """The error for a request body with more bytes, or more JSON values, than the limit."""

    code = "body-too-large"


def raw(request: HttpRequest, limit: int = LIMIT) -> bytes:
    """Return the whole body of a request, which can be chunked, if it has at most ``limit`` bytes.

    Raises BodyTooLarge, BodyIncomplete if the client does not send all of it, and Invalid if
    the headers say that the body is only a part, or encoded.
    """
    content_headers.check_plain_and_whole(request)
    _check_size(streaming.content_length(request) or 0, limit)
    parts, size = [], 0
    for block in streaming.body(request):
        size += len(block)
        _check_size(size, limit)
        parts.append(block)
    return b"".join(parts)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BodyTooLarge(f"The request body exceeds {limit} bytes.")


def header_text(value: str) -> str:
    """Decode the value of a header as UTF-8. Raises UnicodeError if it is not UTF-8."""
    return value.encode("latin-1").decode()  # WSGI decodes headers as Latin-1


def json(request: HttpRequest, limit: int = LIMIT) -> Any:
    """Return the body of a request parsed as a JSON object or list; Content-Type is ignored.

    Raises Invalid for anything else, BodyTooLarge above ``limit`` bytes, BodyIncomplete if the
    client does not send all of it.
    """
    return document(raw(request, limit))


def optional_json(request: HttpRequest) -> Any:
    """Return the body of a request parsed as ``json`` does, {} if there is none. Raises the same errors."""
    content = raw(request)
    return document(content) if content else {}


def document(content: bytes) -> Any:
    """Parse a JSON object or list. Raises Invalid for anything else."""
    if not content:
        raise errors.Invalid("Body expected in request.")
    value = parsed(content)
    if not isinstance(value, dict | list):
        raise errors.Invalid("Unexpected body type. Expected list/dict.")
    return value


def parsed(content: bytes) -> Any:
    """Parse any JSON value. Raises Invalid for malformed JSON, BodyTooLarge for too many values in it."""
    try:
        value = orjson.loads(content)
    except ValueError:
        raise errors.Invalid("Malformed JSON in request body.") from None
    _check_count(value)
    return value


def _check_count(value: object) -> None:
    count, level = 0, [value]
    while level:
        below: list[object] = []
        for item in level:
            children = _children(item)
            count += len(children)
            if count > MAX_VALUES:
                raise BodyTooLarge(f"The body has more than {MAX_VALUES} values.")
            below.extend(children)
        level = below


def _children(value: object) -> Collection[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def refuse(request: HttpRequest) -> None:
    """Raise Invalid if the request has a body with at least one byte that was not read before."""
    if streaming.STREAM in request.META or not streaming.has_body(request):
        return
    # A body with Content-Length is refused unread; an empty chunked body is no body. A client that
    # sends nothing must not hold a thread, because some paths need no sign-in.
    size = streaming.content_length(request)
    if size or any(streaming.body(request, PATIENCE)):
        raise errors.Invalid(NOT_EXPECTED)
