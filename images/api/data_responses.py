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

    The caller must be allowed to download the image. All data is sent, whatever range the request
    names, if ``whole`` is true, or if the image's data cannot be sent in parts; in the second case
    the response has ``Accept-Ranges: none``. ``preferred`` are the ids of the stores to try first,
    ``etag`` is the ETag of the data for If-Range, and ``allow_damaged`` allows sending a copy that
    is known to be damaged if no other can be read. The response to HEAD has the headers of a GET of
    all data. Raises the errors of ``lifecycle.read``, TooManyTransfers, and Invalid or
    RangeNotSatisfiable for a bad range.
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
