"""From a request's credentials to a Caller."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated

from imagecatalog.identity import credentials, tokens
from imagecatalog.identity.credentials import CREDENTIAL_ID
from imagecatalog.identity.origin import Origin, origin_of
from imagecatalog.identity.verification import Identity
from images import errors
from images.access import Caller, implied
from images.http import client_address, public_url
from images.http.challenge import challenge

FROM_ELSEWHERE = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_ORIGIN")
CHANGES_NOTHING = ("GET", "HEAD", "OPTIONS")


class SignIn(BaseAuthentication):
    """The caller of a request, found as IMAGECATALOG_AUTH says."""

    def authenticate(self, request: HttpRequest) -> tuple[Caller, None]:
        return WAYS[settings.IMAGECATALOG_AUTH](request), None

    def authenticate_header(self, request: HttpRequest) -> str:
        return challenge()


def _embedded(request: HttpRequest) -> Caller:
    """HTTP Basic, ``Authorization: Bearer`` and ``X-Auth-Token``."""
    identity = _identity(request)
    if identity is None:
        raise AuthenticationFailed("The user name, password or key is wrong.")
    return _caller(request, identity)


def _none(request: HttpRequest) -> Caller:
    if not (settings.IMAGECATALOG_AUTH_NONE_REMOTE or _is_local(request)):
        raise NotAuthenticated(
            "Without sign-in the service answers to this machine only. "
            "Set IMAGECATALOG_AUTH_NONE_REMOTE=on to change that."
        )
    return _caller(request, Identity("admin", "admin", "admin"))


def _keystone(request: HttpRequest) -> Caller:
    """What keystonemiddleware, or another one of its kind, has found out and written down.

    It takes these headers away from what the client sent. A token for a domain, for the system
    or for nothing has no project: such a caller is nobody here.
    """
    environ = request.META
    if environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
        raise NotAuthenticated("Send a valid token of Keystone as X-Auth-Token.")
    if environ.get("HTTP_X_SERVICE_IDENTITY_STATUS", "Confirmed") != "Confirmed":
        raise NotAuthenticated("The token in X-Service-Token is not valid.")
    project = environ.get("HTTP_X_PROJECT_ID") or None
    names = environ.get("HTTP_X_ROLES", "").lower() if project else ""
    return Caller(
        user=environ.get("HTTP_X_USER_ID", ""),
        project=project,
        roles=implied(*filter(None, map(str.strip, names.split(",")))),
        interface=_interface(request),
        request_id=request.request_id,  # type: ignore[attr-defined]
    )


WAYS: dict[str, Callable[[HttpRequest], Caller]] = {
    "embedded": _embedded,
    "keystone": _keystone,
    "none": _none,
}


def _caller(request: HttpRequest, identity: Identity) -> Caller:
    return Caller(
        user=identity.user,
        project=identity.project,
        roles=implied(identity.role) if identity.role else frozenset(),
        interface=_interface(request),
        request_id=request.request_id,  # type: ignore[attr-defined]
        actions=identity.actions,
    )


def _interface(request: HttpRequest) -> str:
    return "v1" if request.path_info.startswith("/v1") else "v2"


def _identity(request: HttpRequest) -> Identity | None:
    scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "basic":
        _refuse_foreign_page(request)
        return _by_name(*_decoded(value), origin_of(request))
    key = request.META.get("HTTP_X_AUTH_TOKEN", "")
    if scheme.lower() == "bearer":
        key = value
    if not key:
        raise NotAuthenticated(
            "Sign in with HTTP Basic, or send a token or a key as X-Auth-Token."
        )
    if key.startswith(tokens.PREFIX):
        valid = tokens.read(key)
        return valid.identity if valid else None
    return credentials.by_key(key, origin_of(request))


def _refuse_foreign_page(request: HttpRequest) -> None:
    """Raise Forbidden if a page of another site is about to change something.

    A browser sends a password that it remembers with whatever any page asks for. It says where
    the page is from (Fetch Metadata; RFC 6454 where the service has no TLS); programs do not.
    """
    if request.method in CHANGES_NOTHING:
        return
    site = request.META.get("HTTP_SEC_FETCH_SITE")
    if not (site in ("same-origin", "none") if site else _is_our_origin(request)):
        raise errors.Forbidden(
            "Pages of other sites may not use a password that the browser remembers. "
            "Send a token or a key as X-Auth-Token instead."
        )


def _is_our_origin(request: HttpRequest) -> bool:
    """Whether no other origin is named."""
    named = request.META.get("HTTP_ORIGIN")
    if named is None:
        return True
    called = f"{request.scheme}://{request.META.get('HTTP_HOST', '')}"
    public = "/".join(public_url.base(request).split("/")[:3])
    return named in (called, public)


def _by_name(name: str, secret: str, origin: Origin) -> Identity | None:
    # The id of an application credential is a name of that form; so is no sensible user's.
    if CREDENTIAL_ID.fullmatch(name):
        return credentials.by_secret(name, secret, origin)
    return credentials.by_password(name, secret, origin)


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


def _is_local(request: HttpRequest) -> bool:
    # Not somebody behind a proxy, and not a page of somebody's in this machine's browser.
    if any(request.META.get(name) for name in FROM_ELSEWHERE):
        return False
    host = request.META.get("HTTP_HOST", "localhost").rpartition(":")
    name = (host[0] or host[2]).strip("[]")
    return _is_loopback(client_address.client(request)) and (
        name == "localhost" or _is_loopback(name)
    )


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False
