"""The admin's pages for the second factor: ask for a code, set the second factor up, remove it.

A user whose password was right is pending until a right code follows: the session has the user's
id, but nobody is signed in.
"""

from __future__ import annotations

import time
from typing import Any, Final

import segno
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from imagecatalog.identity import second_factor
from imagecatalog.identity.origin import origin_of
from images import errors

PENDING: Final = "second_factor_pending"  # keys of the session
SECRET: Final = "second_factor_secret"
PENDING_SECONDS: Final = 300


class CodeNeeded(Exception):
    """Raised at a sign-in with the right password if the second factor must be checked next."""

    def __init__(self, user: Any) -> None:
        super().__init__()
        self.user = user


def check_password_enough(user: Any) -> None:
    """Raise CodeNeeded if a user whose password was right must also enter a code to sign in."""
    mode = settings.IMAGECATALOG_SECOND_FACTOR
    if mode == "required" or (mode == "optional" and second_factor.is_set_up(user)):
        raise CodeNeeded(user)


def ask(request: HttpRequest, user: Any, url: str) -> HttpResponse:
    """Mark a user as pending in the session, and redirect to the page that asks for the code.

    A user without a second factor is redirected to the page that sets it up. ``url`` is the page to
    show after the sign-in.
    """
    request.session.cycle_key()
    request.session[PENDING] = {
        "user": user.pk,
        "backend": user.backend,
        "hash": user.get_session_auth_hash(),
        "at": int(time.time()),
        "next": url,
    }
    is_set_up = second_factor.is_set_up(user)
    return HttpResponseRedirect(
        reverse("admin:second_factor_code" if is_set_up else "admin:second_factor")
    )


def code_page(request: HttpRequest) -> HttpResponse:
    """Show the page that asks the pending user for a code; a POST with a right code signs in.

    Redirects to the sign-in page if no user is pending. Raises TooManyAttempts after too many wrong
    codes.
    """
    user, wrong = _pending(request), False
    if user is None or not second_factor.is_set_up(user):
        return HttpResponseRedirect(reverse("admin:login"))
    if request.method == "POST":
        if second_factor.check(user, request.POST.get("code", ""), origin_of(request)):
            return HttpResponseRedirect(_sign_in(request, user))
        wrong = True
    context = {"title": _("Second factor"), "wrong": wrong}
    return _page(request, "code", context)


def setup_page(request: HttpRequest) -> HttpResponse:
    """Show the page that sets up the second factor of the signed-in or pending user, or removes it.

    Redirects to the sign-in page if there is no such user. Raises TooManyAttempts after too many
    wrong codes.
    """
    pending = _pending(request)
    user = request.user if admin.site.has_permission(request) else pending
    if user is None:
        return HttpResponseRedirect(reverse("admin:login"))
    if second_factor.is_set_up(user):
        if user is pending:
            return HttpResponseRedirect(reverse("admin:second_factor_code"))
        return _removal_page(request)
    secret = request.session.setdefault(SECRET, second_factor.new_secret())
    error = ""
    if request.method == "POST":
        try:
            code, origin = request.POST.get("code", ""), origin_of(request)
            codes = second_factor.set_up(user, secret, code, origin)
        except errors.ImageError as refused:
            error = str(refused)
        else:
            del request.session[SECRET]
            url = _sign_in(request, user) if user is pending else reverse("admin:index")
            context = {"title": _("Recovery codes"), "codes": codes, "continue": url}
            return _page(request, "recovery_codes", context)
    uri = second_factor.uri(secret, user.get_username())
    context = {
        "title": _("Set up a second factor"),
        "qr_code": segno.make(uri, micro=False).svg_data_uri(scale=4, light="white"),
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "error": error,
    }
    return _page(request, "setup", context)


def _removal_page(request: HttpRequest) -> HttpResponse:
    wrong = False
    if request.method == "POST":
        code, origin = request.POST.get("code", ""), origin_of(request)
        if second_factor.check(request.user, code, origin):
            second_factor.remove(request.user, origin)
            messages.success(request, _("The second factor was removed."))
            return HttpResponseRedirect(reverse("admin:index"))
        wrong = True
    context = {"title": _("Second factor"), "wrong": wrong}
    return _page(request, "removal", context)


def _pending(request: HttpRequest) -> Any:
    """Return the pending user of the session: the password was right, and the code is missing.

    Returns None if no user is pending, if the password was given more than 5 minutes ago, or if the
    password has changed since.
    """
    pending = request.session.get(PENDING)
    if not pending or time.time() - pending["at"] > PENDING_SECONDS:
        return None
    user = get_user_model().objects.filter(pk=pending["user"], is_active=True).first()
    if user is None:
        return None
    same = constant_time_compare(user.get_session_auth_hash(), pending["hash"])
    return user if same else None


def _sign_in(request: HttpRequest, user: Any) -> str:
    """Sign the pending user in, and return the URL of the page to show next."""
    pending = request.session.pop(PENDING)
    login(request, user, backend=pending["backend"])
    url: str = pending["next"]
    return url


def _page(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    context = admin.site.each_context(request) | context
    template = f"admin/identity/second_factor/{name}.html"
    response = TemplateResponse(request, template, context)
    response.headers["Cache-Control"] = "no-store"
    return response
