"""Pages for what is not there, and for what one may not; in the admin's clothes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views import defaults


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if not hasattr(request, "user"):
        return defaults.permission_denied(request, exception)
    sentence = _("Your role does not include this. An administrator can change that.")
    return _page(request, 403, _("Not permitted"), sentence)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if not hasattr(request, "user"):
        return defaults.page_not_found(request, exception)
    # Only our own words are shown: those of the router tell of its inside.
    told: Any = exception.args[0] if exception.args else ""
    ours = isinstance(told, str) and told
    sentence = told if ours else _("There is no such page.")
    return _page(request, 404, _("Not found"), sentence)


def _page(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": title,
        "sentence": sentence,
    }
    page = "admin/images/refusal.html"
    return TemplateResponse(request, page, context, status=status)
