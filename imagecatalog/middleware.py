"""Request ids: each request has one, it is echoed, and every event names it."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

HEADER = "X-OpenStack-Request-ID"
ACCEPTABLE = re.compile(r"(?:req-)?[A-Za-z0-9_.-]{1,60}", re.ASCII)


def request_id(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Take the client's id, with ``req-`` put in front if missing, or make a new one.

    An id that is too long or has other characters than letters, digits, ``-``, ``_`` and
    ``.`` is replaced: it would end up in logs and headers.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        if not ACCEPTABLE.fullmatch(given):
            given = str(uuid4())
        request.request_id = given if given.startswith("req-") else f"req-{given}"  # type: ignore[attr-defined]
        response = get_response(request)
        response.headers[HEADER.lower()] = request.request_id  # type: ignore[attr-defined]
        return response

    return middleware
