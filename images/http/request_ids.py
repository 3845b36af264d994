"""Request ids, by which clients and logs identify a request."""

from __future__ import annotations

import re
from uuid import uuid4

from django.http import HttpRequest

HEADER = "X-OpenStack-Request-ID"
_KEY = f"HTTP_{HEADER.upper().replace('-', '_')}"
ACCEPTABLE = re.compile(r"(?:req-)?[A-Za-z0-9_.-]{1,60}", re.ASCII)


def request_id_of(request: HttpRequest) -> str:
    """Return the request id that the client sent, with the prefix ``req-``; otherwise a new id.

    An id that is too long or has characters other than letters, digits, ``-``, ``_`` and ``.``
    is replaced, because the id is written to logs and headers.
    """
    # Not `request.headers`, for which Django would convert all headers.
    value = request.META.get(_KEY, "")
    if not ACCEPTABLE.fullmatch(value):
        value = str(uuid4())
    return value if value.startswith("req-") else f"req-{value}"
