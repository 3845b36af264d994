"""The error pages of the admin. Each says what to do, and has the id of the request.

Requests of the APIs get their errors in the form of the API.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.middleware import csrf
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views import defaults

from imagecatalog.identity import sign_in_counts
from images import errors, outages
from images.admin import branding, roles
from images.http import responses, views
from images.http.form_files import FileRefused

# The beginnings of Django's reasons to refuse forms of other sites.
FOREIGN = tuple(
    reason.split("%")[0] for reason in (csrf.REASON_BAD_ORIGIN, csrf.REASON_BAD_REFERER)
)
TEMPLATE = "admin/images/refusal.html"


def refused(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """Return the page for a request that the service cannot read, with a sentence about the reason.

    Requests of the APIs get the error in the form of the API.
    """
    if not _is_page(request):
        return responses.error(request, status, message)
    return _page(request, status, _("The request was refused"), message)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page for a malformed request (400). Django calls this as its handler400."""
    if not _is_page(request):
        return views.bad_request(request, exception)
    sentence = _(
        "The address or the form is malformed or too long. Go back, and change what you entered."
    )
    if isinstance(exception, FileRefused):
        sentence = str(exception)
    return _page(request, 400, _("The request was refused"), sentence)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the page for a form without the right CSRF token (403).

    It is the value of the setting CSRF_FAILURE_VIEW.
    """
    if reason == csrf.REASON_NO_CSRF_COOKIE:
        sentence = _(
            "Your browser sent no cookie of this site with the form. Allow cookies for this "
            "site, open the page again, and repeat your entry."
        )
    elif reason.startswith(FOREIGN):
        sentence = _(
            "The form does not come from a page of this service. Open the page again, and "
            "repeat your entry. If it is refused again, ask an administrator to set "
            "IMAGECATALOG_PUBLIC_URL to the address in your browser."
        )
    else:
        sentence = _(
            "You have signed in again since this page was opened. Open the page again, and "
            "repeat your entry."
        )
    sentence = f"{_('Nothing was changed.')} {sentence}"
    again = request.get_full_path()
    return _page(request, 403, _("The form was not accepted"), sentence, again=again)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page for a missing permission (403). Django calls this as its handler403."""
    if not hasattr(request, "user"):
        return defaults.permission_denied(request, exception)
    sentence = _("Your role does not allow this action.")
    groups = roles.having(str(exception))
    if groups:
        sentence += " " + _("Members of these groups can do it: %(groups)s.") % {
            "groups": ", ".join(groups)
        }
    sentence += " " + _("Ask an administrator for permission.")
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
    """Return the page for a failure of the service (500), or for an outage of the database (503).

    Django calls this as its handler500. Requests of the APIs get the error in the form of the API.
    """
    if not _is_page(request):
        return views.server_error(request)
    outage = views.current_outage()
    # The pages are rendered without the user, who is in the database.
    if outage is None:
        sentence = _(
            "The service has failed, and its log says why. Try again; if it fails again, tell an "
            "administrator the id of the request."
        )
        return _plain_page(request, 500, _("Something went wrong"), sentence)
    sentence = outages.sentence(outage)
    return views.unavailable(_plain_page(request, 503, _("Not available"), sentence))


def _is_page(request: HttpRequest) -> bool:
    return request.path_info.startswith(settings.IMAGECATALOG_BROWSER_PATHS)


def _page(
    request: HttpRequest, status: int, title: str, sentence: str, *, again: str = ""
) -> HttpResponse:
    """Return an error page, with the menu of the admin if the user is signed in.

    A malformed request gets no menu, because it has no session. ``again`` is the URL of the page to
    open again.
    """
    if not hasattr(request, "user"):
        return _plain_page(request, status, title, sentence)
    context = _context(request, title, sentence) | {"again": again}
    context = admin.site.each_context(request) | context
    return render(request, TEMPLATE, context, status=status)


def _plain_page(
    request: HttpRequest, status: int, title: str, sentence: str
) -> HttpResponse:
    context = branding.context() | _context(request, title, sentence)
    return HttpResponse(render_to_string(TEMPLATE, context), status=status)


def _context(request: HttpRequest, title: str, sentence: str) -> dict[str, Any]:
    own_id = getattr(request, "request_id", "")
    return {"title": title, "sentence": sentence, "request_id": own_id}
