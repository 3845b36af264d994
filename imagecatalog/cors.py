"""Middleware that lets pages of other web sites, such as a dashboard, use the APIs (CORS).

See https://fetch.spec.whatwg.org/#http-cors-protocol. Cookies and passwords that the browser
remembers are never allowed: a page must send a token.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from images.http import responses

METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
# Response headers that the pages can read, besides those that every page can read. API v1 has
# a header for each property: "*" stands for them.
EXPOSED: Final = ", ".join(
    (
        "*",
        "X-OpenStack-Request-ID",
        "X-Auth-Token",
        "X-Subject-Token",
        "X-Service-Token",
        "X-Image-Meta-Checksum",
        "OpenStack-image-store-ids",
        "Location",
        "Content-MD5",
        "Content-Range",
        "Repr-Digest",
        "Retry-After",
        "Tus-Resumable",
        "Upload-Offset",
        "Upload-Length",
        "Upload-Expires",
        "Upload-Metadata",
    )
)
MAX_AGE: Final = "3600"  # seconds for which a browser remembers what is allowed
NAMES: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+(?:, ?[a-z0-9!#$%&'*+.^_`|~-]+)*")

GetResponse = Callable[[HttpRequest], HttpResponse]


def cors(get_response: GetResponse) -> GetResponse:
    """Middleware that lets web pages of IMAGECATALOG_CORS_ORIGINS send requests to the APIs.

    It adds CORS headers to responses, and answers preflight requests, except below the paths of the
    admin.
    """
    origins = settings.IMAGECATALOG_CORS_ORIGINS
    browser_paths = settings.IMAGECATALOG_BROWSER_PATHS
    if not origins:
        return get_response

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(browser_paths):
            return get_response(request)
        origin = request.headers.get("Origin")
        if origin not in origins:
            response = get_response(request)
        elif _is_preflight(request):
            response = _preflight(request)
        else:
            response = get_response(request)
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        if origin in origins:
            response.headers["Access-Control-Allow-Origin"] = str(origin)
        patch_vary_headers(response, ["Origin"])
        return response

    return middleware


def _is_preflight(request: HttpRequest) -> bool:
    return (
        request.method == "OPTIONS"
        and "Access-Control-Request-Method" in request.headers
    )


def _preflight(request: HttpRequest) -> HttpResponse:
    response = responses.nothing()
    response.headers["Access-Control-Allow-Methods"] = METHODS
    # All requested headers are allowed: the operator trusts the origin, and headers of API v1
    # can have any name.
    wanted = request.headers.get("Access-Control-Request-Headers", "").lower()
    if NAMES.fullmatch(wanted):
        response.headers["Access-Control-Allow-Headers"] = wanted
    response.headers["Access-Control-Max-Age"] = MAX_AGE
    return response
