"""The admin's site: its names, and the front page.

Not in images.admin, which registers the models there: the site has to exist before.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.translation import gettext_lazy as _

from images import errors


class CatalogueSite(AdminSite):
    site_header = _("Image catalogue")
    site_title = _("Image catalogue")
    index_title = _("Overview")
    site_url = None  # the service has no other pages
    empty_value_display = "–"

    def index(
        self, request: HttpRequest, extra_context: Any = None
    ) -> TemplateResponse:
        from images.admin import front

        seen = request.user.has_perm("images.view_image")
        extra = {**(front.context() if seen else {}), **(extra_context or {})}
        return super().index(request, extra)

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        from images.admin import refusals

        try:
            return super().login(request, extra_context)
        except errors.TooManyAttempts as error:
            return refusals.too_many(request, error)

    def get_app_list(
        self, request: HttpRequest, app_label: str | None = None
    ) -> list[dict[str, Any]]:
        """The images first: they are what people come for."""
        found = super().get_app_list(request, app_label)
        return sorted(found, key=lambda app: app["app_label"] != "images")

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from images.admin import live

        view = self.admin_view(live.overview)
        return [path("live/", view, name="live"), *super().get_urls()]
