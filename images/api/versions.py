"""The version documents of the API, and the answer to paths that name no version.

They need no sign-in.
"""

from __future__ import annotations

import re

from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.urls import resolve, reverse

from images.http import public_url, responses
from images.http.views import without_body

# Minor versions only announce features: all run the same code. The lists have exactly the
# versions whose features the service has.
ALWAYS = (17, 15, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
OF_THE_CACHE = (18, 16, 14)
V1 = ("1.1", "1.0")
# The metrics are at the management listener: a scraper must not take 300 for an empty answer.
METRICS = "/metrics"
BY_ACCEPT = {"Vary": "Accept"}
MEDIA_TYPE = re.compile(r"application/vnd\.openstack\.images-(v[12])(?:\.\d+)?\b")


def minor_versions() -> list[int]:
    """Return the minor versions of API v2 that the service supports, newest first (7 means 2.7)."""
    cached = OF_THE_CACHE if settings.IMAGECATALOG_CACHE_DIR else ()
    return sorted({*ALWAYS, *cached}, reverse=True)


@without_body
def versions(request: HttpRequest) -> HttpResponse:
    """Return the list of API versions (``GET /versions``)."""
    return responses.json(_document(request))


def fallback(request: HttpRequest) -> HttpResponseBase:
    """Answer a request whose path does not begin with a version of the API.

    If the header Accept names an API version, that version handles the request. Otherwise the
    response is 300 with the list of all versions, as Glance answers every unknown path. Browsers at
    the root are redirected to the admin.
    """
    named = MEDIA_TYPE.search(request.META.get("HTTP_ACCEPT", ""))
    if named and (named[1] != "v1" or settings.IMAGECATALOG_V1):
        request.path_info = f"/{named[1]}{request.path_info}"
        match = resolve(request.path_info)
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return response
    if request.path_info == METRICS:
        return _not_found(request)
    if request.path_info == "/" and _is_browser(request):
        return HttpResponseRedirect(reverse("admin:index"), headers=BY_ACCEPT)
    return _choices(request)


def _is_browser(request: HttpRequest) -> bool:
    """Return whether a request asks for a page: whether Accept names HTML, as that of browsers does."""
    accepted = request.META.get("HTTP_ACCEPT", "")
    if (
        request.method not in ("GET", "HEAD")
        or len(accepted) > responses.LONGEST_ACCEPT
    ):
        return False
    return any(
        f"{it.main_type}/{it.sub_type}" == responses.HTML
        for it in request.accepted_types
    )


@without_body
def _choices(request: HttpRequest) -> HttpResponse:
    return responses.json(_document(request), status=300)


@without_body
def _not_found(request: HttpRequest) -> HttpResponse:
    message = "The metrics are at the management listener: see serve --management."
    return responses.error(request, 404, message)


def _document(request: HttpRequest) -> dict[str, list[dict[str, object]]]:
    base = public_url.base(request)
    v2 = [f"2.{minor}" for minor in minor_versions()]
    v1 = V1 if settings.IMAGECATALOG_V1 else ()
    return {
        "versions": [
            {
                "id": f"v{number}",
                "status": "CURRENT" if number == v2[0] else "SUPPORTED",
                "links": [{"rel": "self", "href": f"{base}/v{number[0]}/"}],
            }
            for number in (*v2, *v1)
        ]
    }
