"""A URL path for the command ``doctor``, which tests how the proxies pass requests on.

The command signs its requests; for all other clients the path does not exist.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import orjson
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from images.api import versions
from images.http import client_address, streaming

PATH: Final = "proxy-check"
SIGNATURE: Final = "X-Doctor-Signature"
# A name as API v1 has it, with a hyphen and an underscore.
UNDERSCORE: Final = "x-image-meta-property-doctor_check"
VALID_SECONDS: Final = 60
DATA: Final = "data"  # a parameter of the query: the response has data, too
BLOCK: Final = bytes(1 << 20)
BLOCKS: Final = 32  # more than the buffers of sockets take
END: Final = 16  # bytes at the end of the data: the seconds until there


def sign() -> str:
    """Return a value for the header X-Doctor-Signature, signed with the secret key of the service.

    The service accepts the value for 60 seconds.
    """
    return _signer().sign("doctor")


def proxy_check(request: HttpRequest) -> HttpResponseBase:
    """Answer a request of the command ``doctor`` with a line of JSON that describes it as received.

    With ``?data``, 32 MiB of data follow, and then the number of seconds that sending the data
    took. If this number is small although the client has not read the data, a proxy buffers it. A
    chunked body is read and its bytes are counted; a body with Content-Length is not read. A
    request without a valid signature is answered like one for an unknown path. Raises
    BodyIncomplete if a body is cut off.
    """
    if not _is_signed(request):
        return versions.fallback(request)
    is_chunked = "HTTP_TRANSFER_ENCODING" in request.META
    document = {
        "received": sum(map(len, streaming.body(request))) if is_chunked else 0,
        "scheme": request.scheme,
        "host": request.META.get("HTTP_HOST", ""),
        "peer": request.META.get("REMOTE_ADDR", ""),
        "port": int(request.META.get("REMOTE_PORT") or 0),
        "client": client_address.client(request),
        "trusted": client_address.is_trusted(request.META.get("REMOTE_ADDR", "")),
        "forwarded": request.META.get("HTTP_X_FORWARDED_FOR", ""),
        "underscore": UNDERSCORE in request.headers,
    }
    streaming.release_body(request)
    line = orjson.dumps(document) + b"\n"
    return StreamingHttpResponse(
        _with_data(line) if DATA in request.GET else [line],
        content_type="application/octet-stream",
    )


def _with_data(line: bytes) -> Iterator[bytes]:
    begun = time.monotonic()
    yield line
    for _ in range(BLOCKS):
        yield BLOCK
    yield b"%*.3f" % (END, time.monotonic() - begun)


def _is_signed(request: HttpRequest) -> bool:
    try:
        _signer().unsign(request.headers.get(SIGNATURE, ""), max_age=VALID_SECONDS)
    except BadSignature:
        return False
    return True


def _signer() -> TimestampSigner:
    return TimestampSigner(salt="images.api.proxy_check")
