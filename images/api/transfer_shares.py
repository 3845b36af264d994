"""Functions that count uploads and downloads, and refuse those above a limit.

The limits are on concurrent transfers of a client's address, of a project and of the process.
``images.transfers.concurrency`` has the limits and counts the transfers.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from socket import socket
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse

from images import errors, process_metrics
from images.access import Caller
from images.http import client_address, connection, streaming
from images.transfers import concurrency
from images.transfers.concurrency import Shares
from images.transfers.places import Place


class _SentFile:
    """A file that the kernel sends to a client.

    It is counted as a running transfer until it is closed.
    """

    def __init__(self, blocks: Any, shares: Shares, place: Place) -> None:
        self._blocks, self._shares, self._place = blocks, shares, place
        self._release = weakref.finalize(self, shares.release, place)
        self.source = blocks.source

    def send_to(self, sock: socket, most: int) -> int:
        """Send at most ``most`` bytes of the file to a socket; return the number of sent bytes."""
        sent: int = self._blocks.send_to(sock, most)
        process_metrics.count("download_bytes_total", by=sent)
        return sent

    def take(self) -> _SentFile:
        """Return a new object for the bytes that are not sent yet.

        The new object closes the file, in place of this one.
        """
        self._release.detach()
        return _SentFile(self._blocks.take(), self._shares, self._place)

    def close(self) -> None:
        """Close the file, and stop counting it as a running transfer."""
        self._blocks.close()
        self._release()


@contextmanager
def upload(request: HttpRequest, caller: Caller) -> Iterator[None]:
    """A context manager that counts a request as one transfer of the caller's project.

    Raises TooManyTransfers if the client's address, the project or the process already has as many
    transfers as it is allowed.
    """
    shares = concurrency.shares()
    place = shares.take(
        _place(request, caller, connection.end_receiving, connection.has_unread)
    )
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
    """Return the response with an image's data, and count it as a transfer until it is closed.

    ``blocks`` yields the bytes to send: all data, of ``size`` bytes, or only its range ``part``
    ([start, stop)). ``checksum`` is the MD5 of all data, for the headers. A file that the kernel
    sends needs no thread, so such downloads have a much higher limit. Raises TooManyTransfers if
    the client's address, the project or the process already has as many transfers as it is allowed.
    """
    direct = streaming.direct_to(request, blocks)
    shares = concurrency.sent_shares() if direct else concurrency.shares()
    try:
        place = shares.take(
            _place(request, caller, connection.abort, connection.has_sent_all)
        )
    except errors.TooManyTransfers:
        streaming.close(blocks)
        raise
    if direct:
        file: Any = _SentFile(blocks, shares, place)
        return streaming.download(file, size, part, checksum, direct)
    response = streaming.download(blocks, size, part, checksum)
    # Released when the response is closed, or when it is collected because nobody closed it.
    release = weakref.finalize(response, shares.release, place)
    response._resource_closers.append(release)  # type: ignore[attr-defined]
    return response


def _place(
    request: HttpRequest,
    caller: Caller,
    end: Callable[[socket], None],
    delayed: Callable[[socket], bool],
) -> Place:
    address = client_address.network_of(client_address.client(request))
    sock = request.META.get("gunicorn.socket")
    if sock is None:
        return Place(address, caller.project)
    moved = partial(connection.moved, sock)
    return Place(
        address, caller.project, moved, partial(end, sock), partial(delayed, sock)
    )
