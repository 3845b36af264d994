"""Checks of a request's head that RFC 9112 demands and gunicorn leaves out.

The checks take the request of gunicorn, before Django gets it, and raise gunicorn's errors.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from gunicorn.http.errors import (  # type: ignore[import-untyped]
    InvalidHeader,
    UnsupportedTransferCoding,
)

# RFC 3986 section 3.2.2; names of container networks have underscores, too.
HOST = re.compile(
    r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Za-z:.]+\])(?::[0-9]*)?", re.ASCII
)


def check(request: Any) -> None:
    """Check the headers of a gunicorn request, and set Host from an absolute request target.

    Raises InvalidHeader if Host is missing or invalid, UnsupportedTransferCoding for any
    transfer coding but chunked (RFC 9112).
    """
    host, codings = None, []
    for name, value in request.headers:
        if name == "HOST":
            host = value
        elif name == "TRANSFER-ENCODING":
            codings.append(value.lower())
    if codings and codings != ["chunked"]:
        raise UnsupportedTransferCoding(", ".join(codings))
    if "://" in request.uri and not request.uri.startswith("/"):
        host = urlsplit(request.uri).netloc
        others = [field for field in request.headers if field[0] != "HOST"]
        request.headers = [("HOST", host), *others]
    if host is None and request.version < (1, 1):
        return
    if host is None or not HOST.fullmatch(host):
        raise InvalidHeader("HOST", req=request)
