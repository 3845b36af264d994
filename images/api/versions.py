"""The versions document, and which paths are versions at all. Nobody needs to sign in for it."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, resolve

from images.api import replies

# Minor versions only announce; all run the same code. Announced is what is served.
CURRENT = "2.7"
SUPPORTED = ("2.5", "2.4", "2.3", "2.2", "2.1", "2.0")
V1 = ("1.1", "1.0")
HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
MEDIA_TYPE = re.compile(r"application/vnd\.openstack\.images-v2(\.\d+)?\b")


def versions(request: HttpRequest) -> HttpResponse:
    """``GET /versions``."""
    return replies.json(_document(request))


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
    return replies.json(_document(request), status=300)


def base_url(request: HttpRequest) -> str:
    """Where clients reach the service, without a slash at the end."""
    if settings.IMAGECATALOG_PUBLIC_URL:
        return str(settings.IMAGECATALOG_PUBLIC_URL)
    # Not get_host(): it refuses names with an underscore, which container networks have.
    host = request.META.get("HTTP_HOST", "")
    if not HOST.fullmatch(host):
        host = f"{request.META['SERVER_NAME']}:{request.META['SERVER_PORT']}"
    return f"{request.scheme}://{host}"


def _document(request: HttpRequest) -> dict[str, list[dict[str, object]]]:
    base = base_url(request)
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
