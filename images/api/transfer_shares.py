"""Uploads and downloads that hold a thread, within the shares of their client and project."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest, StreamingHttpResponse

from images import errors
from images.access import Caller
from images.http import client_address, streaming
from images.transfers import concurrency


@contextmanager
def upload(request: HttpRequest, caller: Caller) -> Iterator[None]:
    """Hold a place while the data of a request is received. Raises TooManyTransfers."""
    shares = concurrency.shares()
    place = shares.take(_address(request), caller.project)
    try:
        yield
    finally:
        shares.release(place)


def download(
    request: HttpRequest,
    caller: Caller,
    blocks: Iterator[bytes],
    size: int,
    part: tuple[int, int] | None,
    checksum: str | None,
) -> StreamingHttpResponse:
    """Return the response with the data, or with its range ``part``. Raises TooManyTransfers.

    The parameters are those of ``streaming.download``. The response holds a place until it is
    closed; none if the kernel sends a file.
    """
    if direct := streaming.direct_to(request, blocks):
        return streaming.download(blocks, size, part, checksum, direct)
    shares = concurrency.shares()
    try:
        place = shares.take(_address(request), caller.project)
    except errors.TooManyTransfers:
        streaming.close(blocks)
        raise
    response = streaming.download(blocks, size, part, checksum)
    # At its close, or when it is lost: then nobody closes it.
    release = weakref.finalize(response, shares.release, place)
    response._resource_closers.append(release)  # type: ignore[attr-defined]
    return response


def _address(request: HttpRequest) -> str:
    return client_address.network_of(client_address.client(request))
