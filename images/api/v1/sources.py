"""The source of an image's data: the request body, a URL to fetch it from, or a location."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest

from images import errors, lifecycle, stores
from images.api.v1.headers import Meta
from images.http import content_headers, digest_fields, streaming
from images.models import Status

SCHEMES = ("http://", "https://")


class Sources(NamedTuple):
    """The source of an image's data that a request names: at most one of the fields is set.

    For a request without data, no field is set.
    """

    has_body: bool
    copy_from: str | None  # URL
    location: str | None  # URL


def of(request: HttpRequest, meta: Meta) -> Sources:
    """Return the source of an image's data: the request's body, a URL to copy from, or a location.

    Raises Invalid for several sources, for a URL that is not http(s), for a store that does not
    exist, and for a body that is only a part of the data, or encoded.
    """
    content_headers.check_plain_and_whole(request)
    if name := meta.get("store"):
        stores.by_scheme(name)
    sources = Sources(streaming.has_body(request), meta.copy_from, meta.get("location"))
    if sum(map(bool, sources)) > 1:
        raise errors.Invalid("It's invalid to provide multiple image sources.")
    url = sources.copy_from or sources.location
    if url and not url.lower().startswith(SCHEMES):
        raise errors.Invalid(f"External sourcing not supported for store {url[:255]}")
    return sources


def size(request: HttpRequest, meta: Meta) -> int | None:
    """Return the size of the data in bytes that the headers state; None if they state no size.

    Raises Invalid above IMAGECATALOG_IMAGE_SIZE_CAP.
    """
    announced: int | None = meta.get("size")
    if announced is None and streaming.has_body(request):
        announced = streaming.body_size(request)
    cap = settings.IMAGECATALOG_IMAGE_SIZE_CAP
    if announced is not None and announced > cap:
        raise errors.Invalid(
            f"Denying attempt to upload image larger than {cap} bytes."
        )
    return announced


def store_id(meta: Meta) -> str | None:
    """Return the id of the store that a request's metadata names; None if it names no store.

    The metadata can have the id or the type of a store. Raises Invalid if there is no such store,
    StoreReadOnly if the store cannot be written.
    """
    name = meta.get("store")
    return lifecycle.writable_store(stores.by_scheme(name).id).id if name else None


def blocks(request: HttpRequest) -> Iterator[bytes]:
    """Yield the bytes of the request body in blocks, for an upload.

    Raises Invalid, only when the first block is read, unless Content-Type is
    application/octet-stream.
    """
    if request.content_type != streaming.MEDIA_TYPE:
        raise errors.Invalid(f"Content-Type must be {streaming.MEDIA_TYPE}")
    yield from streaming.body(request)


def upload_options(request: HttpRequest, meta: Meta) -> dict[str, Any]:
    """Return the keyword arguments of ``lifecycle.upload`` for the data in a request's body.

    Raises Invalid for a size above the limit, a malformed digest or an unknown store,
    StoreReadOnly for a store that cannot be written.
    """
    return {
        "expected_size": size(request, meta),
        "expected_checksum": meta.get("checksum"),
        "expected_digests": digest_fields.expected(request),
        "store_id": store_id(meta),
        "status_on_failure": Status.KILLED,
    }


def fetch_source(request: HttpRequest, meta: Meta, url: str) -> lifecycle.Source:
    """Return the source of a web download: the URL, and the store, size and checksum in the headers.

    Raises Invalid for a size above the limit or an unknown store, StoreReadOnly for a store
    that cannot be written.
    """
    return lifecycle.Source(
        url, size(request, meta), meta.get("checksum"), store_id(meta)
    )


def location(request: HttpRequest, meta: Meta, url: str) -> lifecycle.AddLocation:
    """Return a change that makes a URL the only location of an image. Writes nothing.

    Raises Invalid for a URL that is not accepted or a size above the limit.
    """
    change = lifecycle.AddLocation.parse({"url": url})
    return change.as_only(size(request, meta), meta.get("checksum"))
