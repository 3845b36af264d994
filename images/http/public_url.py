"""The public URL of the service, for links in documents and on pages."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)


def base(request: HttpRequest) -> str:
    """Return the URL at which clients reach the service, without a slash at the end.

    It is IMAGECATALOG_PUBLIC_URL if that is set, otherwise the scheme and host of the request.
    """
    if settings.IMAGECATALOG_PUBLIC_URL:
        return str(settings.IMAGECATALOG_PUBLIC_URL)
    # get_host() refuses names with an underscore, which container networks have.
    host = request.META.get("HTTP_HOST", "")
    if not HOST.fullmatch(host):
        host = f"{request.META['SERVER_NAME']}:{request.META['SERVER_PORT']}"
    return f"{request.scheme}://{host}"


def set_location(response: HttpResponse, request: HttpRequest, path: str) -> None:
    """Add the header Location to a response: the public URL of a path of the service."""
    response.headers["Location"] = base(request) + path
