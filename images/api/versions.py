"""The versions document, and which paths are versions at all. Nobody needs to sign in for it."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, resolve

from images.http import public_url, responses

# Minor versions only announce; all run the same code. Announced is what is served.
CURRENT = "2.7"
SUPPORTED = ("2.5", "2.4", "2.3", "2.2", "2.1", "2.0")
V1 = ("1.1", "1.0")
MEDIA_TYPE = re.compile(r"application/vnd\.openstack\.images-v2(\.\d+)?\b")


def versions(request: HttpRequest) -> HttpResponse:
    """``GET /versions``."""
    return responses.json(_document(request))


def fallback(request: HttpRequest) -> HttpResponseBase:
    """Any path without a version: the one that Accept asks for, else the choices (300)."""
    if MEDIA_TYPE.search(request.META.get("HTTP_ACCEPT", "")):
        try:
            found = resolve(f"/v2{request.path_info}")
        except Resolver404:
            pass
        else:
            reply: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
            return reply
    return responses.json(_document(request), status=300)


def _document(request: HttpRequest) -> dict[str, list[dict[str, object]]]:
    base = public_url.base(request)
    v1 = V1 if settings.IMAGECATALOG_V1 else ()
    return {
        "versions": [
            {
                "id": f"v{number}",
                "status": "CURRENT" if number == CURRENT else "SUPPORTED",
                "links": [{"rel": "self", "href": f"{base}/v{number[0]}/"}],
            }
            for number in (CURRENT, *SUPPORTED, *v1)
        ]
    }
