"""The routes of published trees, below ``/pub/``: the public tree and those of projects."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import re_path

from images.api import versions
from images.api.published.views import PublishedView

_view = PublishedView.as_view()


def published(
    request: HttpRequest, project: str = "", path: str | None = None
) -> HttpResponseBase:
    """Answer a request below ``/pub/``; if nothing is published, like one for an unknown path.

    ``project`` is the id of the project whose tree is read, empty for the public tree; ``path`` is
    a path in the tree, None for its root without a slash.
    """
    if settings.IMAGECATALOG_PUBLISH == "off":
        return versions.fallback(request)
    response: HttpResponseBase = _view(request, project=project, path=path)
    return response


urlpatterns = [
    re_path(r"^/project/(?P<project>[^/]+)(?:/(?P<path>(?s:.*)))?$", published),
    re_path(r"^(?:/(?P<path>(?s:.*)))?$", published),
]
