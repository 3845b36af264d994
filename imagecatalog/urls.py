"""The URL routes of the service: APIs, browser admin, probes and API documentation."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from imagecatalog import openapi
from imagecatalog.api_page import api_page
from images.api import health, proxy_check, versions

V1 = (
    path("v1", RedirectView.as_view(url="/v1/")),
    re_path(r"^v1(?:\.[01])?/", include("images.api.v1.urls")),
)
# Minor versions do not change the behaviour.
MINOR_VERSIONS = "|".join(map(str, versions.minor_versions()))
urlpatterns = [
    # First, because most requests are for it, and patterns are tried in their order.
    re_path(rf"^v2(?:\.(?:{MINOR_VERSIONS}))?/", include("images.api.v2.urls")),
    re_path(r"^versions/?$", versions.versions),
    path("openapi.json", openapi.openapi_json),
    path("docs", api_page, name="api-page"),
    path("healthcheck", health.healthcheck),
    path("livez", health.livez),
    path(proxy_check.PATH, proxy_check.proxy_check),
    path("readyz", health.healthcheck),
    path("healthz", health.healthcheck),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/images/image/", include("images.api.v2.browser")),
    path("admin/", admin.site.urls),
    path("v2", RedirectView.as_view(url="/v2/")),
    re_path(r"^catalog/v1(?=/|$)/?", include("images.api.catalog.urls")),
    re_path(r"^pub(?=/|$)", include("images.api.published.urls")),
    *(V1 if settings.IMAGECATALOG_V1 else ()),
    re_path(r"", versions.fallback),
]
if settings.IMAGECATALOG_AUTH == "embedded":
    identity = include("imagecatalog.identity.api.urls")
    urlpatterns.insert(-1, re_path(r"^identity(?=/|$)", identity))
handler400 = "images.admin.error_pages.bad_request"
handler403 = "images.admin.error_pages.forbidden"
handler404 = "images.admin.error_pages.not_found"
handler500 = "images.admin.error_pages.server_error"
