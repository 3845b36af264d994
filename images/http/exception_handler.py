"""The one table from what went wrong to the status code that says so."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    MethodNotAllowed,
    NotAuthenticated,
)

from images import errors
from images.http import database, responses
from images.http.challenge import challenge
from images.http.ranges import RangeNotSatisfiable

log = logging.getLogger(__name__)

STATUS: dict[type[Exception], int] = {
    errors.ImageError: 500,
    errors.Invalid: 400,
    errors.BodyIncomplete: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.StoreReadOnly: 410,
    errors.OverLimit: 413,
    errors.StoreFull: 413,
    errors.ContentRefused: 415,
    errors.TooManyAttempts: 429,
    errors.ServerStopping: 503,
    errors.StoreError: 503,
    RangeNotSatisfiable: 416,
}


def handle(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's EXCEPTION_HANDLER. None: unknown, so it is logged and answered with 500."""
    request: HttpRequest = context["request"]._request
    if isinstance(exc, errors.ImageError):
        return _refusal(request, exc, context["view"])
    if isinstance(exc, NotAuthenticated | AuthenticationFailed):
        response = responses.error(request, 401, str(exc.detail))
        response.headers["WWW-Authenticate"] = challenge()
        return response
    if isinstance(exc, MethodNotAllowed):
        allowed = ", ".join(context["view"].allowed_methods)
        message = f"The method {request.method} is not allowed here; use {allowed}."
        response = responses.error(request, 405, message)
        response.headers["Allow"] = allowed
        return response
    if isinstance(exc, APIException):
        return responses.error(request, exc.status_code, str(exc.detail))
    if isinstance(exc, SuspiciousOperation):
        return responses.error(request, 400, "The request is malformed.")
    if isinstance(exc, DataError):
        log.warning("the database refused a value", exc_info=exc)
        message = "The request contains a value that cannot be stored or looked for."
        return responses.error(request, 400, message)
    if isinstance(exc, OperationalError | InterfaceError):
        log.exception("the database does not answer")
        database.renew()
        return responses.error(
            request, 503, "The database is not available. Try again in a moment."
        )
    return None


def _refusal(
    request: HttpRequest, exc: errors.ImageError, view: object
) -> HttpResponse:
    # A view names what only its own resource answers differently.
    table = STATUS | getattr(view, "error_status", {})
    kind = next(kind for kind in type(exc).__mro__ if kind in table)
    if isinstance(exc, errors.StoreError) and table[kind] == 503:
        log.error("a store failed", exc_info=exc)
    if table[kind] == 204:
        return responses.nothing()
    response = responses.error(request, table[kind], str(exc))
    for name, value in getattr(view, "error_headers", {}).get(kind, {}).items():
        response.headers[name] = value
    if isinstance(exc, RangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{exc.size}"
    if isinstance(exc, errors.TooManyAttempts):
        response.headers["Retry-After"] = str(exc.seconds)  # RFC 9110, 10.2.3
    return response
