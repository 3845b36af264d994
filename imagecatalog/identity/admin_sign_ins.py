"""The recording of sign-ins to the admin, and of sign-outs, in the sign-in log."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest

from imagecatalog.identity import sign_in_log
from imagecatalog.identity.backends import SINGLE_SIGN_ON
from imagecatalog.identity.origin import origin_of


def connect() -> None:
    """Record each sign-in to the admin, and each sign-out, from now on."""
    user_logged_in.connect(_signed_in)
    user_logged_out.connect(_signed_out)


def _signed_in(request: HttpRequest, user: Any, **signal: Any) -> None:
    by_provider = request.session.get(BACKEND_SESSION_KEY) == SINGLE_SIGN_ON
    _record("sign_in", request, user, method="oidc" if by_provider else "password")


def _signed_out(request: HttpRequest, user: Any, **signal: Any) -> None:
    if user is not None:
        _record("sign_out", request, user)


def _record(verb: str, request: HttpRequest, user: Any, **detail: str) -> None:
    # A request without an id comes from no client: Django's test client makes it up.
    if hasattr(request, "request_id"):
        sign_in_log.record(verb, user.get_username(), origin_of(request), **detail)
