"""Middleware for all requests, and middleware such as sessions for requests of browsers only."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.db import connection
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import reverse
from django.utils.module_loading import import_string

from imagecatalog.identity import second_factor_pages
from imagecatalog.identity.api.views import error as identity_error
from images import db, logs, outages
from images.access import staff
from images.admin import error_pages
from images.http import request_url, responses, streaming
from images.http.request_ids import HEADER, request_id_of

COOKIES = 4096  # characters of the header Cookie
SIGN_IN_FORM = 1 << 16  # bytes
SECOND_FACTOR_PAGES = ("second_factor_code", "second_factor")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
YEAR = 365 * 86400  # seconds

GetResponse = Callable[[HttpRequest], HttpResponse]

# Pages load only the service's own files: no inline script, no style attribute, no CDN.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def request_id(get_response: GetResponse) -> GetResponse:
    """Middleware that gives each request an id, and puts the id into the response and the log.

    The id is the one that the client has sent, if it is well-formed; otherwise it is random.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        own_id = request_id_of(request)
        request.request_id = own_id  # type: ignore[attr-defined]
        logs.bind(logs.Context(own_id))
        response = get_response(request)
        response.headers[HEADER.lower()] = own_id
        return response

    return middleware


def plan_for_values(get_response: GetResponse) -> GetResponse:
    """Middleware that lets the database plan each statement of a page for the values that it has.

    The statements of pages are few and varied: one plan would not serve all values.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        with db.planned_for_values():
            return get_response(request)

    return middleware


def note_route(get_response: GetResponse) -> GetResponse:
    """Middleware that adds the route of a request to its WSGI environment, for the metrics."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.resolver_match:
            request.META[request_url.ROUTE] = request.resolver_match.route
        return response

    return middleware


def safe_headers(get_response: GetResponse) -> GetResponse:
    """Middleware that sets security headers in each response.

    The headers forbid browsers to guess media types, to cache JSON, and to return from HTTPS to
    HTTP. JSON gets ``no-store`` because a cache does not know that X-Auth-Token, unlike
    Authorization (RFC 9111 section 3.5), makes a response private. HSTS (RFC 6797) is sent only if
    IMAGECATALOG_PUBLIC_URL is an https URL.
    """
    has_tls = settings.IMAGECATALOG_PUBLIC_URL.startswith("https:")

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        headers = response.headers
        headers.setdefault("X-Content-Type-Options", "nosniff")
        if headers.get("Content-Type") == responses.JSON:
            headers.setdefault("Cache-Control", "no-store")
        if has_tls:
            headers["Strict-Transport-Security"] = f"max-age={YEAR}"
        return response

    return middleware


def notice_database(get_response: GetResponse) -> GetResponse:
    """Middleware that records, after a response without a server error, that the database works.

    Does so only if the thread has a database connection. The record ends an outage that was noticed
    before.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code < 500 and connection.connection is not None:
            outages.record_success()
        return response

    return middleware


def refuse_broken_urls(get_response: GetResponse) -> GetResponse:
    """Middleware that refuses a URL whose path or query is not UTF-8 (400).

    Django would replace the invalid bytes and continue with another path or query.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request_url.is_utf8(request.META):
            return get_response(request)
        streaming.drain(request)
        message = "The URL is not UTF-8. Percent-encode its text in UTF-8."
        if request.path_info.startswith("/identity/"):
            return identity_error(400, message)
        return error_pages.refused(request, 400, message)

    return middleware


def for_browsers(get_response: GetResponse) -> GetResponse:
    """Middleware that runs IMAGECATALOG_BROWSER_MIDDLEWARE, such as sessions, for some paths only.

    They are the paths below IMAGECATALOG_BROWSER_PATHS. API requests are thus not slowed down by
    sessions, and the cookie of a signed-in user does not authorise them. Hooks such as
    ``process_view`` of the browser middleware are not called: the views of the admin check the CSRF
    token themselves.
    """
    chain = get_response
    for name in reversed(settings.IMAGECATALOG_BROWSER_MIDDLEWARE):
        chain = import_string(name)(chain)
    paths = settings.IMAGECATALOG_BROWSER_PATHS

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(paths):
            return chain(request)
        return get_response(request)

    return middleware


def user_in_log(get_response: GetResponse) -> GetResponse:
    """Middleware that adds the name of the admin's signed-in user to the log records of a request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user = ""
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            user = request.user.get_username()
        own_id = request.request_id  # type: ignore[attr-defined]
        logs.bind(staff(user, own_id).log_context)
        return get_response(request)

    return middleware


def limit_cookies(get_response: GetResponse) -> GetResponse:
    """Middleware that refuses a request whose Cookie header is too long (431), without parsing it.

    Some versions of Python parse cookies in quadratic time (CVE-2024-7592).
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if len(request.META.get("HTTP_COOKIE", "")) <= COOKIES:
            return get_response(request)
        streaming.drain(request)
        message = "The cookies are too large. Delete those of this site, and sign in."
        return error_pages.refused(request, 431, message)

    return middleware


def check_forms(get_response: GetResponse) -> GetResponse:
    """Middleware that refuses forms that are too large, incomplete or not UTF-8.

    It also redirects users who are not signed in to the sign-in page: they can send only the forms
    of the sign-in. Django would read a form into memory and parse it before it checks the user, and
    would replace bytes that are not UTF-8.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.content_type not in FORMS:  # nothing else is parsed
            return get_response(request)
        refusal = _unread(request) or _broken(request)
        return refusal or get_response(request)

    return middleware


def _unread(request: HttpRequest) -> HttpResponse | None:
    """Return a response that refuses a form without reading it; None if the form can be read.

    The response is 413 if Content-Length is too large, and a redirect to the sign-in page if the
    user is not signed in and the form does not belong to the sign-in.
    """
    is_sign_in = _is_sign_in(request)
    limit = SIGN_IN_FORM if is_sign_in else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    refusal: HttpResponse | None = None
    if not (is_sign_in or admin.site.has_permission(request)):
        is_sign_out = request.path_info == reverse("admin:logout")
        page = reverse("admin:index") if is_sign_out else request.get_full_path()
        refusal = redirect_to_login(page, reverse("admin:login"))
    elif int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        refusal = error_pages.too_large(request, limit)
    if refusal is not None:
        streaming.drain(request)
    return refusal


def _is_sign_in(request: HttpRequest) -> bool:
    """Return whether a request is for a page of the sign-in: the password page or the code page.

    The code page counts only after a right password, which the session records.
    """
    if request.path_info == reverse("admin:login"):
        return True
    pages = {reverse(f"admin:{name}") for name in SECOND_FACTOR_PAGES}
    return request.path_info in pages and second_factor_pages.PENDING in request.session


def _broken(request: HttpRequest) -> HttpResponse | None:
    """Read a form; return an error response (400) if it is incomplete or not UTF-8, else None."""
    try:
        form = request.body
    except UnreadablePostError:
        message = "The form is cut off. Send it again."
        return error_pages.refused(request, 400, message)
    is_multipart = request.content_type == "multipart/form-data"
    if request_url.decodes(form) if is_multipart else request_url.is_text(form):
        return None
    return error_pages.refused(request, 400, "The form is not UTF-8.")


def content_security_policy(get_response: GetResponse) -> GetResponse:
    """Middleware that makes browsers load only files of this service (Content Security Policy)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware
