"""Where an image's data comes from: the body, a location, a place to copy from, or nowhere yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest

from images import errors, lifecycle, stores
from images.api.v1.headers import Meta
from images.http import streaming
from images.models import Status

MEDIA_TYPE = "application/octet-stream"
SCHEMES = ("http://", "https://")


class Sources(NamedTuple):
    """At most one of them is there."""

    has_body: bool
    copy_from: str | None  # URL
    location: str | None  # URL


def of(request: HttpRequest, meta: Meta) -> Sources:
    """What the request brings. Raises Invalid for two, or for what cannot be fetched."""
    found = Sources(streaming.has_body(request), meta.copy_from, meta.get("location"))
    if sum(map(bool, found)) > 1:
        raise errors.Invalid("It's invalid to provide multiple image sources.")
    url = found.copy_from or found.location
    if url and not url.lower().startswith(SCHEMES):
        raise errors.Invalid(f"External sourcing not supported for store {url[:255]}")
    return found


def size(request: HttpRequest, meta: Meta) -> int | None:
    """How many bytes are said to come. Raises Invalid for more than an image may have."""
    said = meta.get("size")
    if said is None and streaming.has_body(request):
        said = streaming.body_size(request)
    cap = settings.IMAGECATALOG_IMAGE_SIZE_CAP
    if said is not None and said > cap:
        raise errors.Invalid(
            f"Denying attempt to upload image larger than {cap} bytes."
        )
    return said


def store_id(meta: Meta) -> str | None:
    """The store that is asked for, by its id or by its kind. Raises Invalid, StoreReadOnly."""
    wanted = meta.get("store")
    return lifecycle.writable(stores.by_scheme(wanted).id).id if wanted else None


def blocks(request: HttpRequest) -> Iterator[bytes]:
    """The body. Raises Invalid with the first block: what comes in another dress is a failure."""
    if request.content_type != MEDIA_TYPE:
        raise errors.Invalid(f"Content-Type must be {MEDIA_TYPE}")
    yield from streaming.body(request)


def brought(request: HttpRequest, meta: Meta) -> dict[str, Any]:
    """What is said of the body, as an upload takes it. Raises Invalid, StoreReadOnly."""
    return {
        "expected_size": size(request, meta),
        "expected_checksum": meta.get("checksum"),
        "store_id": store_id(meta),
        "status_on_failure": Status.KILLED,
    }


def copied(request: HttpRequest, meta: Meta, url: str) -> lifecycle.Source:
    """What is to be copied."""
    return lifecycle.Source(
        url, size(request, meta), meta.get("checksum"), store_id(meta)
    )


def located(request: HttpRequest, meta: Meta, url: str) -> lifecycle.AddLocation:
    """The only location that the image has."""
    location = lifecycle.AddLocation.parse({"url": url})
    return location.as_only(size(request, meta))
