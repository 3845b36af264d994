"""Error pages with the layout of the admin: 403, 404, 413, 429 and 503."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views import defaults

from imagecatalog.identity import sign_in_counts
from images import errors, outages
from images.http import views


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page for a missing permission (403). Django calls this as its handler403."""
    if not hasattr(request, "user"):
        return defaults.permission_denied(request, exception)
    sentence = _(
        "Your role does not allow this action. Ask an administrator for permission."
    )
    return _page(request, 403, _("Not allowed"), sentence)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page for an unknown URL or object (404). Django calls this as its handler404."""
    if not hasattr(request, "user"):
        return defaults.page_not_found(request, exception)
    # Messages of the URL resolver are not shown: they list the URLs of the service.
    message: Any = exception.args[0] if exception.args else ""
    is_sentence = isinstance(message, str) and message
    sentence = message if is_sentence else _("There is no such page.")
    return _page(request, 404, _("Not found"), sentence)


def too_large(request: HttpRequest, limit: int) -> HttpResponse:
    """Return the page for a form that has more than ``limit`` bytes (413)."""
    sentence = _("The form has more than %(limit)s bytes. Send less at once.")
    return _page(request, 413, _("Too large"), sentence % {"limit": f"{limit:,}"})


def too_many(request: HttpRequest, error: errors.TooManyAttempts) -> HttpResponse:
    """Return the page for too many sign-in attempts (429). Retry-After has the seconds to wait."""
    response = _page(request, 429, _("Please wait"), str(error))
    response.headers["Retry-After"] = str(error.seconds)
    return response


def not_signed_in(request: HttpRequest, error: errors.ImageError) -> HttpResponse:
    """Return the page that says why a sign-in has failed: 429 for too many attempts, else 403."""
    if isinstance(error, errors.TooManyAttempts):
        return too_many(request, error)
    return _page(request, 403, _("Not signed in"), str(error))


def locked_out(request: HttpRequest, *args: Any) -> HttpResponse:
    """Return the page for too many wrong passwords (429). django-axes calls this.

    It is the value of the setting AXES_LOCKOUT_CALLABLE.
    """
    # The longest possible wait: the lockout began with the last attempt that was checked.
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    sentence = _("Too many wrong passwords. Try again in %(minutes)d minutes.") % {
        "minutes": seconds // 60
    }
    sign_in_counts.throttled("password")
    return too_many(request, errors.TooManyAttempts(sentence, seconds))


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the page for an outage of the database (503). Django calls this as its handler500.

    For all other errors, and for errors of API requests, the response is in the form of the API.
    """
    is_page = request.path_info.startswith(settings.IMAGECATALOG_BROWSER_PATHS)
    outage = views.current_outage() if is_page else None
    if outage is None:
        return views.server_error(request)
    # The page is rendered without the request, because its user is in the database.
    context = {
        "site_title": admin.site.site_title,
        "site_header": admin.site.site_header,
        "title": _("Not available"),
        "sentence": outages.sentence(outage),
    }
    page = render_to_string("admin/images/refusal.html", context)
    return views.unavailable(HttpResponse(page, status=503))


def _page(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": title,
        "sentence": sentence,
    }
    return render(request, "admin/images/refusal.html", context, status=status)
