"""Middleware for all requests; sessions and related middleware for browsers only."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils.module_loading import import_string

from imagecatalog.identity.api.views import error as identity_error
from images.http import request_url, responses, streaming
from images.http.request_ids import HEADER, request_id_of

GetResponse = Callable[[HttpRequest], HttpResponse]

# Pages load only the service's own files: no inline script, no style attribute, no CDN.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def request_id(get_response: GetResponse) -> GetResponse:
    """Give each request an id, see ``request_id_of``, and return it with the response."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.request_id = request_id_of(request)  # type: ignore[attr-defined]
        response = get_response(request)
        response.headers[HEADER.lower()] = request.request_id  # type: ignore[attr-defined]
        return response

    return middleware


def refuse_broken_urls(get_response: GetResponse) -> GetResponse:
    """Refuse a URL whose path or query is not UTF-8 (400): Django would read it as other text."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request_url.is_utf8(request.META):
            return get_response(request)
        streaming.drain(request)
        message = "The URL is not UTF-8. Percent-encode its text in UTF-8."
        if request.path_info.startswith("/identity/"):
            return identity_error(400, message)
        return responses.error(request, 400, message)

    return middleware


def for_browsers(get_response: GetResponse) -> GetResponse:
    """Run IMAGECATALOG_BROWSER_MIDDLEWARE only for paths below IMAGECATALOG_BROWSER_PATHS.

    API requests thus have no cost of sessions, and a user's cookie cannot authorise them.
    Hooks like ``process_view`` are not called: the admin's views check the CSRF token
    themselves.
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


def refuse_broken_forms(get_response: GetResponse) -> GetResponse:
    """Refuse a form that is not UTF-8 (400): Django would read it as other text."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.content_type != "application/x-www-form-urlencoded":
            return get_response(request)
        try:
            form = request.body
        except UnreadablePostError:
            return responses.error(request, 400, "The form is cut off. Send it again.")
        if request_url.is_text(form):
            return get_response(request)
        return responses.error(request, 400, "The form is not UTF-8.")

    return middleware


def content_security_policy(get_response: GetResponse) -> GetResponse:
    """Let pages load only files of the service (Content Security Policy Level 3)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware
