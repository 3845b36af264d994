"""Settings and views of a service that does nothing but move bytes, for the tests of the wire."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path

from imagecatalog.settings import *  # noqa: F403
from images import errors
from images.http import streaming

ROOT_URLCONF = __name__
closed: list[int] = []


def count(request: HttpRequest) -> HttpResponse:
    """Return the digest and block sizes of the body that arrived."""
    digest, sizes = hashlib.sha256(), []
    try:
        for block in streaming.body(request):
            assert type(block) is bytes
            digest.update(block)
            sizes.append(len(block))
    except errors.ImageError as error:
        streaming.drain(request)
        return HttpResponse(f"{error.code}: {error}", status=400)
    return JsonResponse(
        {
            "sha256": digest.hexdigest(),
            "size": sum(sizes),
            "blocks": len(sizes),
            "largest": max(sizes, default=0),
            "reader": request.META[streaming.STREAM].__name__,
        }
    )


def refuse(request: HttpRequest) -> HttpResponse:
    """Refused once so many blocks were read."""
    blocks = streaming.body(request)
    for _ in range(int(request.GET.get("after", "0"))):
        next(blocks)
    streaming.drain(request)
    return HttpResponse("too much", status=413)


def data(request: HttpRequest) -> HttpResponseBase:
    """So many MiB, of which all but ``missing`` bytes exist."""
    size = int(request.GET["mib"]) << 20
    missing = int(request.GET.get("missing", "0"))
    part = streaming.content_range(request, size)
    start, stop = part or (0, size)
    return streaming.download(zeros(stop - start - missing), size, part, "0" * 32)


def zeros(left: int) -> Iterator[bytes]:
    try:
        while left:
            yield bytes(min(left, 1 << 20))
            left -= min(left, 1 << 20)
    finally:
        closed.append(left)


def state(request: HttpRequest) -> HttpResponse:
    sock = request.META["gunicorn.socket"]
    seconds = [
        struct.unpack("@ll", sock.getsockopt(socket.SOL_SOCKET, option, 16))[0]
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO)
    ]
    return JsonResponse({"closed": closed, "silence": seconds, "pid": os.getpid()})


urlpatterns = [
    path("v2/images/count/file", count),
    path("v2/images/refuse/file", refuse),
    path("data", data),
    path("state", state),
]
