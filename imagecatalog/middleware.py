"""Request ids for everybody; sessions and what goes with them for browsers only."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

GetResponse = Callable[[HttpRequest], HttpResponse]

HEADER = "X-OpenStack-Request-ID"
ACCEPTABLE = re.compile(r"(?:req-)?[A-Za-z0-9_.-]{1,60}", re.ASCII)


# All that pages load is ours and in files: no inline script, no style attribute, no CDN.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def request_id(get_response: GetResponse) -> GetResponse:
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


def for_browsers(get_response: GetResponse) -> GetResponse:
    """Run IMAGECATALOG_BROWSER_MIDDLEWARE below IMAGECATALOG_BROWSER_PATHS and nowhere else.

    No request of the API pays for sessions, or can be made with somebody's cookie. Hooks like
    ``process_view`` are not called: the admin's views check the CSRF token themselves.
    """
    chain = get_response
    for name in reversed(settings.IMAGECATALOG_BROWSER_MIDDLEWARE):
        chain = import_string(name)(chain)
    paths = settings.IMAGECATALOG_BROWSER_PATHS

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(paths):
            return chain(request)
        return get_response(request)

    return middleware


def content_security_policy(get_response: GetResponse) -> GetResponse:
    """Let pages load nothing but our own files (Content Security Policy Level 3)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware
