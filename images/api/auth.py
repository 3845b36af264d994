"""From a request's credentials to a Caller."""

from __future__ import annotations

import base64
import ipaddress

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated

from imagecatalog.identity import credentials
from imagecatalog.identity.credentials import Identity
from images.access import Caller, implied

FROM_ELSEWHERE = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_ORIGIN")


class SignIn(BaseAuthentication):
    """HTTP Basic, ``Authorization: Bearer`` and ``X-Auth-Token``; or nobody is asked."""

    def authenticate(self, request: HttpRequest) -> tuple[Caller, None]:
        if settings.IMAGECATALOG_AUTH == "none":
            identity: Identity | None = _nobody_is_asked(request)
        else:
            identity = _identity(request)
        if identity is None:
            raise AuthenticationFailed("The user name, password or key is wrong.")
        caller = Caller(
            user=identity.user,
            project=identity.project,
            roles=implied(identity.role),
            door=_door(request),
            request_id=request.request_id,  # type: ignore[attr-defined]
        )
        return caller, None

    def authenticate_header(self, request: HttpRequest) -> str:
        return 'Basic realm="imagecatalog"'


def _door(request: HttpRequest) -> str:
    return "v1" if request.path_info.startswith("/v1") else "v2"


def _identity(request: HttpRequest) -> Identity | None:
    scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "basic":
        return credentials.by_password(*_decoded(value))
    key = request.META.get("HTTP_X_AUTH_TOKEN", "")
    if scheme.lower() == "bearer":
        key = value
    if not key:
        raise NotAuthenticated(
            "Sign in with HTTP Basic, or send a key as X-Auth-Token."
        )
    return credentials.by_key(key)


def _decoded(value: str) -> tuple[str, str]:
    try:
        user, colon, password = (
            base64.b64decode(value.strip(), validate=True).decode().partition(":")
        )
    except ValueError:  # no ASCII, no base64, or no UTF-8 in it
        raise AuthenticationFailed("The Authorization header is malformed.") from None
    if not colon:
        raise AuthenticationFailed("The Authorization header is malformed.")
    return user, password


def _nobody_is_asked(request: HttpRequest) -> Identity:
    if not (settings.IMAGECATALOG_AUTH_NONE_REMOTE or _is_local(request)):
        raise NotAuthenticated(
            "Without sign-in the service answers to this machine only. "
            "Set IMAGECATALOG_AUTH_NONE_REMOTE=on to change that."
        )
    return Identity("admin", "admin", "admin")


def _is_local(request: HttpRequest) -> bool:
    # Not somebody behind a proxy, and not a page of somebody's in this machine's browser.
    if any(request.META.get(name) for name in FROM_ELSEWHERE):
        return False
    host = request.META.get("HTTP_HOST", "localhost").rpartition(":")
    name = (host[0] or host[2]).strip("[]")
    return _is_loopback(request.META.get("REMOTE_ADDR", "")) and (
        name == "localhost" or _is_loopback(name)
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
