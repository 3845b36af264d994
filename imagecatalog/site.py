"""The admin site: its URLs, sign-in page and front page.

The module is not in the package images.admin, because the site must exist before Django registers
the pages of models in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import BadRequest
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import Resolver404, URLPattern, URLResolver, path, resolve
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.common import no_append_slash
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET

from imagecatalog.identity import (
    second_factor_pages,
    sign_in_log,
    throttle,
    verification,
)
from imagecatalog.identity.landing import landing
from imagecatalog.identity.origin import origin_of
from imagecatalog.identity.second_factor_pages import CodeNeeded
from images import errors

QUERY = 4096  # characters
SEARCH = 500  # characters, more than the longest name has
View = Callable[..., HttpResponseBase]


class SignInForm(AdminAuthenticationForm):
    """The sign-in form for name and password; the second factor has a page of its own."""

    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": _(
            "The name or the password is wrong, or the user has no access to this admin."
        ),
    }

    def confirm_login_allowed(self, user: Any) -> None:
        """Check a user whose name and password were right.

        Raises ValidationError if the user has no access, and CodeNeeded if the sign-in also needs a
        code of the second factor.
        """
        super().confirm_login_allowed(user)
        second_factor_pages.check_password_enough(user)


class CatalogueSite(AdminSite):
    """The site of the browser admin."""

    index_title = _("Overview")
    site_url = None  # the service has no other web pages
    enable_nav_sidebar = False  # the header has a menu
    empty_value_display = "–"
    login_form = SignInForm

    def index(
        self, request: HttpRequest, extra_context: Any = None
    ) -> TemplateResponse:
        """Return the front page. It has the dashboard for users with permission to view images."""
        from images.admin import activity_page, dashboard

        extra = dict(extra_context or {})
        if request.user.has_perm("images.view_image"):
            newest = {"newest_events": activity_page.newest(request)}
            extra = dashboard.context() | newest | extra
        return super().index(request, extra)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Return a view that only staff users can open, which calls ``view``.

        It refuses requests with NUL characters or overlong queries.
        """
        return super().admin_view(_checked(view), cacheable)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the template context that all pages of the admin have.

        ``has_second_factors`` says whether users can have a second factor. Only users who are
        signed in get a menu and a footer.
        """
        from images.admin import branding, menu

        mode = settings.IMAGECATALOG_SECOND_FACTOR
        context = super().each_context(request) | branding.context()
        context["has_second_factors"] = mode != "off"
        if context["has_permission"]:
            context["menu"] = menu.entries(request, context["available_apps"])
            context |= branding.footer()
        return context

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the sign-in page; a POST signs the user in, and redirects to the next page.

        Redirects to the page for the code if the user needs a second factor. If the sign-in is
        refused, shows an error page with the reason.
        """
        from images.admin import error_pages

        methods = {
            "has_password_form": settings.IMAGECATALOG_PASSWORD_FORM,
            "single_sign_on": settings.IMAGECATALOG_OIDC_ISSUER
            and settings.IMAGECATALOG_OIDC_NAME,
        }
        try:
            return super().login(request, methods | (extra_context or {}))
        except CodeNeeded as needed:
            url = landing(request.POST.get(REDIRECT_FIELD_NAME, ""))
            return second_factor_pages.ask(request, needed.user, url)
        except errors.ImageError as error:
            return error_pages.not_signed_in(request, error)

    def logout(
        self, request: HttpRequest, extra_context: Any = None
    ) -> TemplateResponse:
        """Sign the user out by a POST; for a GET show a page with the button that signs out."""
        if request.method == "POST":
            return super().logout(request, extra_context)
        context = self.each_context(request) | {"title": _("Log out")}
        return TemplateResponse(request, "admin/images/log_out.html", context)

    @no_append_slash
    def catch_all_view(self, request: HttpRequest, url: str) -> HttpResponse:
        """Redirect to the page whose URL lacks only the slash at its end.

        The APIs have no such redirects, so the setting APPEND_SLASH, on which Django's own view
        depends, is off. Raises Http404 for other URLs.
        """
        if request.method in ("GET", "HEAD") and not url.endswith("/"):
            with suppress(Resolver404):
                match = resolve(f"{request.path_info}/")
                if getattr(match.func, "should_append_slash", True):
                    path = request.get_full_path(force_append_slash=True)
                    return HttpResponseRedirect(path)
        raise Http404

    def app_index(  # type: ignore[override]
        self, request: HttpRequest, app_label: str, extra_context: Any = None
    ) -> HttpResponse:
        """Redirect to the page "System", which lists the models of all apps."""
        return redirect("admin:system")

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        """Show the form for the user's own password, or change it.

        A wrong old password counts as a failed sign-in; after too many the response is an error
        page.
        """
        from images.admin import error_pages

        if request.method != "POST":
            return super().password_change(request, extra_context)
        name, origin = request.user.get_username(), origin_of(request)
        try:
            with verification.hashing_slot(name, origin) as guess:
                response = super().password_change(request, extra_context)
        except errors.TooManyAttempts as error:
            return error_pages.too_many(request, error)
        if response.status_code == 302:
            sign_in_log.record("password_change", name, origin)
            if guess:
                throttle.succeeded(guess)
        return response

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Return the URLs of the site. The front page polls ``live/`` for its numbers."""
        from images.admin import activity_page, branding, menu, polling, search_page

        view = self.admin_view(polling.overview)
        return [
            path("live/", view, name="live"),
            path("logo", branding.logo, name="logo"),
            path("system/", self.admin_view(menu.system), name="system"),
            path("activity/", self.admin_view(activity_page.page), name="activity"),
            path("search/", self.admin_view(search_page.page), name="search"),
            *(_oidc_urls() if settings.IMAGECATALOG_OIDC_ISSUER else ()),
            *_second_factor_urls(),
            *super().get_urls(),
        ]


def _second_factor_urls() -> list[URLPattern | URLResolver]:
    code = _sign_in_view(csrf_protect(second_factor_pages.code_page))
    setup = _sign_in_view(csrf_protect(second_factor_pages.setup_page))
    return [
        path("login/code/", code, name="second_factor_code"),
        path("second-factor/", setup, name="second_factor"),
    ]


def _oidc_urls() -> list[URLPattern | URLResolver]:
    """Return the two URLs of the sign-in at an identity provider: its start and its callback."""
    from imagecatalog.identity import oidc

    return [
        path("sso/", require_GET(_sign_in_view(oidc.start)), name="oidc_start"),
        path(
            "sso/callback/",
            require_GET(_sign_in_view(oidc.finish)),
            name="oidc_callback",
        ),
    ]


def _sign_in_view(view: Callable[[HttpRequest], HttpResponse]) -> View:
    """Return a view that calls ``view``, and shows an error page if the sign-in fails.

    Users who are not signed in can open the view; its responses are never cached.
    """

    @never_cache
    def shown(request: HttpRequest) -> HttpResponse:
        from images.admin import error_pages

        try:
            return view(request)
        except errors.ImageError as error:
            return error_pages.not_signed_in(request, error)

    return shown


def _checked(view: View) -> View:
    """Return a view that calls ``view``, but refuses NUL characters and overlong queries.

    The response is 404 for NUL in the path, and 400 otherwise. PostgreSQL fails on NUL. Long
    queries are slow: each word of a search becomes a condition, and each number in the sort order
    becomes a column.
    """

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "\0" in request.path_info:
            raise Http404
        search = request.GET.get("q", "") + request.GET.get("term", "")
        if len(request.META.get("QUERY_STRING", "")) > QUERY or len(search) > SEARCH:
            raise BadRequest
        if any("\0" in text for text in _texts(request)):
            raise BadRequest
        return view(request, *args, **kwargs)

    return checked


def _texts(request: HttpRequest) -> Iterator[str]:
    for parameters in (request.GET, request.POST):
        for name, texts in parameters.lists():
            yield name
            yield from map(str, texts)
