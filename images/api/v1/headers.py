"""Image metadata in headers (``x-image-meta-…``) of requests and responses.

The names of these headers are not case-sensitive, and ``-`` and ``_`` in them are equal, because
the servers between client and service treat them so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

from django.http import HttpRequest

from images.access import Caller
from images.api import query
from images.api.v1 import serializers
from images.errors import Invalid
from images.http.request_body import header_text
from images.models.rows import Row
from images.units import parse_number

PREFIX: Final = "HTTP_X_IMAGE_META_"
PROPERTY: Final = "property_"
COPY_FROM: Final = "HTTP_X_GLANCE_API_COPY_FROM"
PURGE: Final = "HTTP_X_GLANCE_REGISTRY_PURGE_PROPS"
URLS: Final = ("location", "copy_from")  # the fields that must not be empty
TRUE: Final = frozenset({"1", "t", "true", "on", "y", "yes"})

# Matches what urllib.parse.quote returns when its argument ``safe`` has these characters.
_QUOTED = re.compile(r"(?:[A-Za-z0-9_.~/:=+@,;&-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]|^\s|\s$")


@dataclass(frozen=True)
class Meta:
    """The image metadata in the headers of a request. It lacks fields whose headers were not sent."""

    fields: Mapping[str, Any]  # None for an empty header
    properties: Mapping[str, str]
    copy_from: str | None  # URL
    purge: bool  # remove the properties that the request does not name

    def get(self, name: str) -> Any:
        """Return the value of a field; None if its header is empty or was not sent."""
        return self.fields.get(name)


def decode(request: HttpRequest) -> Meta:
    """Return the image metadata in a request's headers.

    Raises Invalid for unknown or malformed headers with metadata.
    """
    fields, properties = {}, {}
    for key, value in request.META.items():
        name = key.removeprefix(PREFIX).lower()
        if not key.startswith(PREFIX):
            continue
        if name.startswith(PROPERTY):
            properties[_property_name(name)] = _text(name, value)
        elif name in FIELDS:
            text = _text(name, value)
            fields[name] = FIELDS[name](name, text) if text or name in URLS else None
        else:
            raise Invalid(f"Bad header: x-image-meta-{name}")
    purge = request.META.get(PURGE, "true")
    return Meta(fields, properties, _copy_from(request, fields), _flag("purge", purge))


def _copy_from(request: HttpRequest, fields: Mapping[str, Any]) -> str | None:
    named = fields.get("copy_from")
    if COPY_FROM not in request.META:
        return named
    source = _url("copy_from", _text("copy_from", request.META[COPY_FROM]))
    if named not in (None, source):
        raise Invalid("It's invalid to provide multiple image sources.")
    return source


def encode(row: Row, caller: Caller) -> dict[str, str]:
    """Return the response headers that describe an image: ``x-image-meta-…`` for each value, and ETag."""
    document = serializers.image(row, caller)
    properties = document.pop("properties")
    fields = {
        f"x-image-meta-{name}": _sendable(value)
        for name, value in document.items()
        if value is not None
    }
    for name, value in properties.items():
        fields[f"x-image-meta-property-{quote(name, safe='')}"] = _sendable(value)
    if row["checksum"]:
        fields["ETag"] = row["checksum"]
    return fields


def _text(name: str, value: str) -> str:
    """Return the value of a metadata header as text; percent-encoded text is decoded.

    Raises Invalid if the value is not UTF-8; ``name`` is for the message.
    """
    try:
        return unquoted(header_text(value))
    except UnicodeError:
        raise Invalid(
            f"Bad header: x-image-meta-{name} must be text in UTF-8."
        ) from None


def _property_name(name: str) -> str:
    """Return the percent-decoded name of the property to which a header with this name belongs.

    Raises Invalid if the name is not UTF-8.
    """
    try:
        return unquote(name.removeprefix(PROPERTY), errors="strict")
    except UnicodeError:
        raise Invalid(
            f"Bad header: the name in x-image-meta-{name} must be text in UTF-8."
        ) from None


def unquoted(text: str) -> str:
    """Decode a text if it is percent-encoded; return any other text unchanged.

    A text counts as percent-encoded if all its special characters are. A URL with
    percent-encodings of its own, which decoding would lose, also stays unchanged.
    """
    if "%" not in text or not _QUOTED.fullmatch(text):
        return text
    try:
        plain = unquote(text, errors="strict")
    except UnicodeError:
        return text
    is_url = "://" in plain
    lost = quote(plain, safe="/:") != text or not plain.isprintable() or " " in plain
    return text if is_url and lost else plain


def _sendable(value: Any) -> str:
    text = str(value)
    if _UNSAFE.search(text) or unquoted(text) != text:
        text = quote(text)
    return text.encode().decode("latin-1")


def _flag(name: str, text: str) -> bool:
    return text.strip().lower() in TRUE


def _number(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise Invalid(
            f"Incoming image {name} of {text[:64]} was not convertible to an integer."
        )
    number = parse_number(text.removeprefix("+"))
    if number < 0:
        raise Invalid(
            f"Invalid value '{text[:64]}' for parameter '{name}': Cannot be a negative value"
        )
    return number


def _checksum(name: str, text: str) -> str:
    if len(text) > 32 or not (text.isascii() and text.isalnum()):
        raise Invalid(
            f"Invalid {name} '{text[:64]}': an MD5 in 32 hexadecimal digits is expected."
        )
    return text


def _or_none(check: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    """Return a function like ``check``, except that it returns None for the header value ``None``.

    The historic Glance replicator sends this word for null.
    """
    return lambda name, text: None if text.lower() == "none" else check(name, text)


def _time(name: str, text: str) -> str:
    """Return a header value unchanged if it is a time in ISO 8601.

    Raises Invalid, with the ``name`` of the header, for other text.
    """
    query.instant(f"x-image-meta-{name}", text)
    return text


def _url(name: str, text: str) -> str:
    if not text.strip():
        raise Invalid(f"Bad header: x-image-meta-{name} must not be empty.")
    return text


def _plain(name: str, text: str) -> str:
    return text


FIELDS: Final[dict[str, Callable[[str, str], Any]]] = {
    **dict.fromkeys(("id", "name", "disk_format", "container_format"), _plain),
    **dict.fromkeys(("status", "owner"), _plain),
    "checksum": _checksum,
    **dict.fromkeys(("store", "uri"), _plain),
    **dict.fromkeys(URLS, _url),
    **dict.fromkeys(("created_at", "updated_at", "deleted_at"), _or_none(_time)),
    **dict.fromkeys(("size", "min_disk", "min_ram"), _number),
    "virtual_size": _or_none(_number),
    **dict.fromkeys(("is_public", "protected", "deleted"), _flag),
}
