"""Pages for what is not there, what one may not, and who has to wait; in the admin's clothes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views import defaults

from images import errors


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


def too_many(request: HttpRequest, error: errors.TooManyAttempts) -> HttpResponse:
    """For who has to wait before signing in."""
    response = _page(request, 429, _("Please wait"), str(error))
    response.headers["Retry-After"] = str(error.seconds)
    return response


def locked_out(request: HttpRequest, *args: Any) -> HttpResponse:
    """For who guesses passwords: django-axes' AXES_LOCKOUT_CALLABLE."""
    # The time begins anew with each attempt, so it is the whole of it that is left.
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    sentence = _(
        "There were too many wrong passwords. Try again in %(minutes)d minutes."
    )
    told = sentence % {"minutes": seconds // 60}
    return too_many(request, errors.TooManyAttempts(told, seconds))


def _page(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": title,
        "sentence": sentence,
    }
    return render(request, "admin/images/refusal.html", context, status=status)
