"""The table of status codes for errors, and the responses to errors of all APIs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.core.exceptions import SuspiciousOperation
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    MethodNotAllowed,
    NotAuthenticated,
)

from images import errors, outages
from images.http import responses
from images.http.content_headers import EncodedContent
from images.http.preconditions import PreconditionFailed
from images.http.ranges import RangeNotSatisfiable
from images.http.request_body import BodyTooLarge
from images.http.views import ApiView

log = logging.getLogger(__name__)

STATUS: Mapping[type[Exception], int] = {
    errors.ImageError: 500,
    errors.Invalid: 400,
    errors.BodyIncomplete: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Changed: 412,
    errors.Gone: 410,
    errors.StoreReadOnly: 410,
    errors.OverLimit: 413,
    errors.StoreFull: 413,
    BodyTooLarge: 413,
    errors.ContentRefused: 415,
    errors.TooManyRequests: 429,
    errors.ServerStopping: 503,
    errors.TooManyTransfers: 503,
    errors.LimitsUnknown: 503,
    errors.StoreError: 503,
    PreconditionFailed: 412,
    EncodedContent: 415,
    RangeNotSatisfiable: 416,
}


class _Refusal(NamedTuple):
    status: int
    message: str
    headers: Mapping[str, str] = {}


def handle(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Return the response to an error in a view (DRF's EXCEPTION_HANDLER).

    The view gives the format of the document (``error_response``) and the status codes that
    differ from the table of this module (``error_status``). Returns None for an unknown
    exception, which Django logs and answers with 500.
    """
    request: HttpRequest = context["request"]._request
    view: ApiView = context["view"]
    refusal = _refusal(exc, request, view)
    if refusal is None:
        return None
    if refusal.status == 204:
        return responses.nothing()
    headers = dict(refusal.headers)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = view.challenge(request)
    response = view.error_response(request, refusal.status, refusal.message)
    for name, value in headers.items():
        response.headers[name] = value
    return response


def _refusal(exc: Exception, request: HttpRequest, view: ApiView) -> _Refusal | None:
    if isinstance(exc, errors.ImageError):
        return _domain_refusal(exc, request, view)
    if isinstance(exc, NotAuthenticated | AuthenticationFailed):
        return _Refusal(401, str(exc.detail))
    if isinstance(exc, MethodNotAllowed):
        allowed = ", ".join(view.allowed_methods)
        message = f"The method {request.method} is not allowed here. Use {allowed}."
        return _Refusal(405, message, {"Allow": allowed})
    if isinstance(exc, APIException):
        return _Refusal(exc.status_code, str(exc.detail))
    if isinstance(exc, SuspiciousOperation):
        return _Refusal(400, "The request is malformed.")
    if isinstance(exc, DataError):
        log.warning("the database rejected a value", exc_info=exc)
        return _Refusal(
            400, "The request has a value that the database cannot store or compare."
        )
    if outages.is_outage(exc):
        outages.record(exc)
        headers = {"Retry-After": str(outages.RETRY_AFTER)}
        return _Refusal(503, outages.sentence(exc), headers)
    return None


def _domain_refusal(
    exc: errors.ImageError, request: HttpRequest, view: ApiView
) -> _Refusal:
    table = {**STATUS, **view.error_status}
    kind = next(kind for kind in type(exc).__mro__ if kind in table)
    if table[kind] >= 500 and not exc.logged:
        log.error("%s %s failed", request.method, request.path, exc_info=exc)
    headers = dict(view.error_headers.get(kind, {}))
    if isinstance(exc, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{exc.size}"
    if isinstance(exc, EncodedContent):
        headers["Accept-Encoding"] = "identity"  # RFC 9110, 12.5.3
    if isinstance(exc, errors.QuotaExceeded):
        headers["X-Quota-Name"] = exc.name
    if isinstance(exc, errors.TooManyTransfers):
        headers["Retry-After"] = str(responses.RETRY_SECONDS)
    if isinstance(exc, errors.TooManyRequests):
        headers["Retry-After"] = str(exc.seconds)  # RFC 9110, 10.2.3
    return _Refusal(table[kind], str(exc), headers)
