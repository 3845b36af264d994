"""Authentication of API requests: it turns the credentials of a request into a Caller."""

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
from images import errors, logs
from images.access import Caller, implied
from images.http import client_address, public_url
from images.http.challenge import challenge

# Headers of requests from a proxy or from a page in a browser.
REMOTE_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_ORIGIN")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")  # RFC 9110, 9.2.1, without TRACE


class CallerAuthentication(BaseAuthentication):
    """The authentication of API requests, for DRF.

    The mode is IMAGECATALOG_AUTH: embedded, keystone or none.
    """

    def authenticate(self, request: HttpRequest) -> tuple[Caller, None]:
        """Return the authenticated caller, and None in place of the token object that DRF allows here.

        Raises AuthenticationFailed for wrong credentials, NotAuthenticated for missing ones, and
        Forbidden for a password that a browser sends from a page of another site.
        """
        caller = MODES[settings.IMAGECATALOG_AUTH](request)
        logs.bind(caller.log_context)
        return caller, None

    def authenticate_header(self, request: HttpRequest) -> str:
        """Return the value of the header WWW-Authenticate for a response 401."""
        return challenge()


def _embedded(request: HttpRequest) -> Caller:
    """Return the caller, after the built-in identity service has checked the credentials.

    The request sends the credentials by HTTP Basic, ``Authorization: Bearer`` or ``X-Auth-Token``.
    Raises AuthenticationFailed for wrong credentials, NotAuthenticated for missing ones.
    """
    identity = _identity(request)
    if identity is None:
        raise AuthenticationFailed(credentials.REFUSED)
    return _caller(request, identity)


def _none(request: HttpRequest) -> Caller:
    """Return an administrator as caller, for the mode without sign-in.

    Raises NotAuthenticated for requests that are not from this machine, unless
    IMAGECATALOG_AUTH_NONE_REMOTE is on.
    """
    if not (settings.IMAGECATALOG_AUTH_NONE_REMOTE or _is_local(request)):
        raise NotAuthenticated(
            "The service has no sign-in and answers only requests from this machine. "
            "Set IMAGECATALOG_AUTH_NONE_REMOTE=on to allow other machines."
        )
    return _caller(request, Identity("admin", "admin", "admin"))


def _keystone(request: HttpRequest) -> Caller:
    """Return the caller that keystonemiddleware, or similar middleware, describes in headers.

    The middleware removes headers of the same names that a client has sent. A token for a domain,
    for the system or without a scope has no project: such a caller has no roles. A confirmed token
    in X-Service-Token, which other services send with every call, gives the caller the roles of
    that service, too. Raises NotAuthenticated if the middleware has not confirmed a token.
    """
    environ = request.META
    if environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
        raise NotAuthenticated("Send a valid token of Keystone as X-Auth-Token.")
    project = environ.get("HTTP_X_PROJECT_ID") or None
    service = environ.get("HTTP_X_SERVICE_IDENTITY_STATUS") == "Confirmed"
    return Caller(
        user=environ.get("HTTP_X_USER_ID", ""),
        project=project,
        roles=_roles(environ.get("HTTP_X_ROLES", "")) if project else frozenset(),
        interface=_interface(request),
        request_id=request.request_id,  # type: ignore[attr-defined]
        service_roles=_roles(environ.get("HTTP_X_SERVICE_ROLES", ""))
        if service
        else frozenset(),
    )


def _roles(names: str) -> frozenset[str]:
    """Return the roles in a comma-separated header value, and all roles that they imply."""
    return implied(*filter(None, map(str.strip, names.lower().split(","))))


MODES: dict[str, Callable[[HttpRequest], Caller]] = {
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
    path = request.path_info
    if path.startswith(("/catalog/", "/pub")):
        return "catalog"
    return "v1" if path.startswith("/v1") else "v2"


def _identity(request: HttpRequest) -> Identity | None:
    scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "basic":
        _refuse_cross_site(request)
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


def _refuse_cross_site(request: HttpRequest) -> None:
    """Raise Forbidden if a browser sends an unsafe request (such as POST) for a page of another site.

    A browser adds the password that it remembers to requests from any page. It also sends the site
    of the page (Sec-Fetch-Site, or Origin where the service has no TLS). Programs send neither
    header, and are not refused.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.META.get("HTTP_SEC_FETCH_SITE")
    if not (site in ("same-origin", "none") if site else _is_our_origin(request)):
        raise errors.Forbidden(
            "A page of another site cannot use the password that the browser remembers. "
            "Send a token or a key as X-Auth-Token instead."
        )


def _is_our_origin(request: HttpRequest) -> bool:
    """Return whether the Origin header is absent or names this service."""
    origin = request.META.get("HTTP_ORIGIN")
    if origin is None:
        return True
    requested = f"{request.scheme}://{request.META.get('HTTP_HOST', '')}"
    public = "/".join(public_url.base(request).split("/")[:3])
    return origin in (requested, public)


def _by_name(name: str, secret: str, origin: Origin) -> Identity | None:
    # Clients send the id of an application credential as the user name. Its form is too
    # unusual to be the name of a user.
    if CREDENTIAL_ID.fullmatch(name):
        return credentials.by_secret(name, secret, origin)
    return credentials.by_password(name, secret, origin)


def _decoded(value: str) -> tuple[str, str]:
    try:
        user, colon, password = (
            base64.b64decode(value.strip(), validate=True).decode().partition(":")
        )
    except ValueError:  # not ASCII, not base64, or not UTF-8 inside
        raise AuthenticationFailed("The Authorization header is malformed.") from None
    if not colon:
        raise AuthenticationFailed("The Authorization header is malformed.")
    return user, password


def _is_local(request: HttpRequest) -> bool:
    # A request through a proxy on this machine, or from a page of another site in this
    # machine's browser, has a loopback address but is not from this machine's user.
    if any(request.META.get(name) for name in REMOTE_HEADERS):
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
