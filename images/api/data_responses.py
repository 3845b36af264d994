"""Responses with the data of an image, for all interfaces that send it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.http import HttpRequest, HttpResponseBase

from images import lifecycle
from images.access import Caller
from images.api import transfer_shares
from images.http import streaming
from images.models.rows import Row


def send(
    http: HttpRequest,
    caller: Caller,
    image: Row,
    *,
    whole: bool = False,
    preferred: Sequence[str] = (),
    etag: str | None = None,
    allow_damaged: bool = False,
) -> HttpResponseBase:
    """Return the response with an image's data, or with the range of it that the request names.

    The caller must be allowed to download it. With ``whole`` the response has all data, whatever the
    request names. It has all data, too, of an image of which no part can be sent; its headers say so.
    ``preferred`` stores are tried first. ``etag`` is compared with If-Range. ``allow_damaged`` is
    for ``lifecycle.read``. The response to HEAD has the same headers as that to GET for all data,
    and no data. Raises the errors of ``lifecycle.read``, TooManyTransfers, and those of a bad range.
    """
    size, checksum = image["size"] or 0, image["checksum"]
    ranged = lifecycle.serves_ranges(image)
    read = partial(
        lifecycle.read, image["id"], preferred=preferred, allow_damaged=allow_damaged
    )
    if http.method == "HEAD":
        # The data is opened, so that the answer is that of GET if it is missing.
        streaming.close(read(0, size))
        response: HttpResponseBase = streaming.description(size, checksum)
    else:
        may_be_part = ranged and not whole
        part = streaming.content_range(http, size, etag) if may_be_part else None
        blocks = read(*(part or (0, size)))
        response = transfer_shares.download(http, caller, blocks, size, part, checksum)
    return response if ranged else streaming.without_ranges(response)
