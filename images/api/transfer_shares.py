"""Uploads and downloads, limited for each client address and each project.

The limits are those of ``images.transfers.concurrency``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from socket import socket
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse

from images import errors
from images.access import Caller
from images.http import client_address, connection, streaming
from images.transfers import concurrency
from images.transfers.concurrency import Shares
from images.transfers.places import Place


class _SentFile:
    """A file for the kernel to send, which counts as one transfer until it is closed."""

    def __init__(self, blocks: Any, shares: Shares, place: Place) -> None:
        self._blocks, self._shares, self._place = blocks, shares, place
        self._release = weakref.finalize(self, shares.release, place)
        self.source = blocks.source

    def send_to(self, sock: socket, most: int) -> int:
        """Send up to ``most`` bytes, as the file does."""
        sent: int = self._blocks.send_to(sock, most)
        return sent

    def take(self) -> _SentFile:
        """Return an object for the rest of the data, which releases file and place instead."""
        self._release.detach()
        return _SentFile(self._blocks.take(), self._shares, self._place)

    def close(self) -> None:
        """Close the file, and release its place among the transfers."""
        self._blocks.close()
        self._release()


@contextmanager
def upload(request: HttpRequest, caller: Caller) -> Iterator[None]:
    """Count a request as a transfer of its caller while its data is received.

    Raises TooManyTransfers if the client's address, its project or the process is at its
    limit.
    """
    shares = concurrency.shares()
    place = shares.take(_place(request, caller, connection.end_receiving))
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
    """Return the response with the data, or with its range ``part``.

    The parameters are those of ``streaming.download``. The response counts as a transfer
    until it is closed. A file that the kernel sends holds no thread and has a much higher
    limit. Raises TooManyTransfers if the client's address, its project or the process is at
    its limit.
    """
    direct = streaming.direct_to(request, blocks)
    shares = concurrency.sent_shares() if direct else concurrency.shares()
    try:
        place = shares.take(_place(request, caller, connection.abort))
    except errors.TooManyTransfers:
        streaming.close(blocks)
        raise
    if direct:
        file: Any = _SentFile(blocks, shares, place)
        return streaming.download(file, size, part, checksum, direct)
    response = streaming.download(blocks, size, part, checksum)
    # At its close, or when it is lost: then nobody closes it.
    release = weakref.finalize(response, shares.release, place)
    response._resource_closers.append(release)  # type: ignore[attr-defined]
    return response


def _place(
    request: HttpRequest, caller: Caller, end: Callable[[socket], None]
) -> Place:
    address = client_address.network_of(client_address.client(request))
    sock = request.META.get("gunicorn.socket")
    if sock is None:
        return Place(address, caller.project)
    moved = partial(connection.moved, sock)
    return Place(address, caller.project, moved, partial(end, sock))
