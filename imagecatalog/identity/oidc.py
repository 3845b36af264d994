"""Sign-in to the admin at an identity provider, by OpenID Connect.

django-allauth does the authorization code flow, with a state and PKCE; its accounts are not used.
external_accounts.py decides whether an account has access, and which groups its user gets. Import
this module only if IMAGECATALOG_OIDC_ISSUER is set: it needs apps that are not installed otherwise.

The sources are OpenID Connect Core 1.0 and OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final, NoReturn

import jwt
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import (
    OpenIDConnectProvider,
)
from allauth.socialaccount.providers.openid_connect.views import (
    OpenIDConnectOAuth2Adapter,
)
from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from requests import RequestException

from imagecatalog.identity import external_accounts, sign_in_counts, throttle
from imagecatalog.identity.backends import SINGLE_SIGN_ON
from imagecatalog.identity.external_accounts import Account, GroupRules
from imagecatalog.identity.landing import landing
from imagecatalog.identity.origin import Origin, origin_of
from images import db, errors
from images.http import public_url

METHOD: Final = "oidc"  # in the sign-in log
PROVIDER: Final = "oidc"
CONFIGURATION_SECONDS: Final = 300  # the configuration of the provider is read again
LEEWAY: Final = 60  # seconds by which clocks may differ
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
SIGNATURES: Final = ("RSA", "EC", "OKP")  # types of keys; the others are shared secrets
_SESSION: Final = "imagecatalog_oidc"

# What an answer of the provider that does not follow the specification raises
MALFORMED = (
    OAuth2Error,
    RequestException,
    jwt.PyJWTError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
)

log = logging.getLogger(__name__)
_configuration: tuple[float, dict[str, Any]] | None = None  # (time of reading, content)


class ProviderFailed(errors.ImageError):
    """The error for an identity provider that does not answer, or does not sign the user in."""

    code = "identity-provider-failed"


class _Verified(Exception):
    """Raised with the verified claims about a user, once the identity provider has sent them.

    It is no error: it leaves django-allauth's code, which would continue with its own accounts.
    """

    def __init__(self, claims: dict[str, Any]) -> None:
        super().__init__()
        self.claims = claims


def start(request: HttpRequest) -> HttpResponse:
    """Start a sign-in: redirect the browser to the identity provider.

    Raises ProviderFailed if the provider's configuration cannot be read, and TooManyAttempts if the
    client's network has started too many sign-ins (each start writes a session).
    """
    with sign_in_counts.counting_throttled(METHOD):
        attempt = throttle.count(*_counted(request))
    request.session[_SESSION] = {
        "next": landing(request.GET.get("next", "")),
        "attempt": attempt,
    }
    db.release_connection()
    try:
        response = _provider(request).redirect(request, AuthProcess.LOGIN)
    except MALFORMED as error:
        _fail(error)
    return HttpResponseRedirect(response.url)


def finish(request: HttpRequest) -> HttpResponse:
    """Sign in the user whom the identity provider has sent back, and redirect to a page of the admin.

    Raises ProviderFailed if the provider has not authenticated the user, and Forbidden if the user
    has no access.
    """
    adapter = _Protocol(request, PROVIDER)
    started = request.session.get(_SESSION) or {}
    try:
        OAuth2CallbackView.adapter_view(adapter)(request)
    except _Verified as verified:
        claims = verified.claims
    except MALFORMED as error:
        _fail(error)
    else:
        _fail(OAuth2Error("no claims"))
    origin = origin_of(request)
    user = external_accounts.sign_in(_account(claims), _rules(), METHOD, origin)
    sign_in_counts.accepted(METHOD)
    login(request, user, backend=SINGLE_SIGN_ON)
    request.session.pop(_SESSION, None)
    if attempt := started.get("attempt"):
        throttle.succeeded(throttle.from_json(attempt))
    return HttpResponseRedirect(landing(started.get("next", "")))


class Errors(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """django-allauth's adapter, changed so that it raises errors instead of showing its own pages.

    It is the value of the setting SOCIALACCOUNT_ADAPTER.
    """

    def on_authentication_error(
        self, *args: Any, error: Any = None, exception: Any = None, **options: Any
    ) -> None:
        """Raise the error of a failed sign-in (called by django-allauth).

        It is ``exception`` or, if that is None, an OAuth2Error with the text ``error``.
        """
        raise exception or OAuth2Error(f"the provider or the state: {error}")


class _Protocol(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """django-allauth's OpenID Connect exchange with the configured provider, with additional checks.

    The exchange ends with the exception ``_Verified``, which has the user's claims.
    """

    def get_provider(self) -> Any:
        return _provider(self.request)

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return public_url.base(request) + reverse("admin:oidc_callback")

    @property
    def openid_config(self) -> dict[str, Any]:
        return _read_configuration(self.get_provider().server_url)

    def complete_login(
        self, request: HttpRequest, app: Any, token: Any, **kwargs: Any
    ) -> NoReturn:
        claims = self._claims(kwargs["response"]["id_token"])
        names = (
            settings.IMAGECATALOG_OIDC_GROUPS_CLAIM,
            settings.IMAGECATALOG_OIDC_USERNAME_CLAIM,
        )
        missing = any(_claim(claims, name) is None for name in names)
        if missing and "userinfo_endpoint" in self.openid_config:
            about = self._fetch_user_info(token.token)
            if about["sub"] != claims["sub"]:  # Core 5.3.2
                raise OAuth2Error("the userinfo is that of another subject")
            claims = {**about, **claims}
        raise _Verified(claims)

    def _claims(self, id_token: str) -> dict[str, Any]:
        """Verify an ID token as OpenID Connect Core 1.0 section 3.1.3.7 requires; return its claims.

        Also verifies the signature. django-allauth does not, because the specification allows to
        rely on TLS instead. Raises OAuth2Error or jwt.PyJWTError if a check fails.
        """
        key = _key(id_token, _get(self.openid_config["jwks_uri"]))
        client_id = settings.IMAGECATALOG_OIDC_CLIENT_ID
        claims: dict[str, Any] = jwt.decode(
            id_token,
            key,
            algorithms=[key.algorithm_name],
            audience=client_id,
            issuer=settings.IMAGECATALOG_OIDC_ISSUER,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
        if claims.get("azp", client_id) != client_id:
            raise OAuth2Error("the ID token is for another client")
        return claims


class _Provider(OpenIDConnectProvider):  # type: ignore[misc]
    oauth2_adapter_class = _Protocol


def _provider(request: HttpRequest) -> _Provider:
    app = SocialApp(
        provider=OpenIDConnectProvider.id,
        provider_id=PROVIDER,
        name=settings.IMAGECATALOG_OIDC_NAME,
        client_id=settings.IMAGECATALOG_OIDC_CLIENT_ID,
        secret=settings.IMAGECATALOG_OIDC_CLIENT_SECRET,
        settings={
            "server_url": settings.IMAGECATALOG_OIDC_ISSUER.rstrip("/"),
            "scope": ["openid", *settings.IMAGECATALOG_OIDC_SCOPES],
            "oauth_pkce_enabled": True,
        },
    )
    return _Provider(request, app=app)


def _read_configuration(url: str) -> dict[str, Any]:
    """Return the identity provider's configuration, which is cached for 5 minutes.

    It is read from ``url``. Raises OAuth2Error if the configuration is that of another issuer
    (Discovery 1.0 section 4.3), or if the issuer has an https URL but an endpoint has none.
    """
    global _configuration
    now = time.monotonic()
    if _configuration and now - _configuration[0] < CONFIGURATION_SECONDS:
        return _configuration[1]
    read = _get(url)
    issuer = settings.IMAGECATALOG_OIDC_ISSUER
    if read["issuer"] != issuer:
        raise OAuth2Error(f"the issuer is {read['issuer']!r}, not {issuer!r}")
    used = [read[name] for name in ENDPOINTS] + [read.get("userinfo_endpoint", issuer)]
    if issuer.startswith("https:") and not all(it.startswith("https:") for it in used):
        raise OAuth2Error("an endpoint has no https URL")
    _configuration = (now, read)
    return read


def _get(url: str) -> dict[str, Any]:
    with get_adapter().get_requests_session() as session:
        response = session.get(url)
    response.raise_for_status()
    document: dict[str, Any] = response.json()
    return document


def _key(id_token: str, keys: dict[str, Any]) -> jwt.PyJWK:
    """Return the key in ``keys`` (a JSON Web Key Set) with which an ID token claims to be signed.

    Does not verify the signature. Raises OAuth2Error unless exactly one key can be the signing key.
    """
    wanted = jwt.get_unverified_header(id_token).get("kid")
    found = [
        key
        for key in jwt.PyJWKSet.from_dict(keys).keys
        if key.key_type in SIGNATURES
        and key.public_key_use in (None, "sig")
        and wanted in (None, key.key_id)
    ]
    if len(found) != 1:
        raise OAuth2Error(f"the provider has {len(found)} keys {wanted!r}")
    return found[0]


def _account(claims: dict[str, Any]) -> Account:
    name = _claim(claims, settings.IMAGECATALOG_OIDC_USERNAME_CLAIM)
    groups = _claim(claims, settings.IMAGECATALOG_OIDC_GROUPS_CLAIM)
    listed = groups if isinstance(groups, list) else [groups]
    return Account(
        issuer=settings.IMAGECATALOG_OIDC_ISSUER,
        subject=str(claims["sub"]),
        name=str(name or ""),
        groups=frozenset(group for group in listed if isinstance(group, str)),
    )


def _claim(claims: dict[str, Any], name: str) -> Any:
    """Return the claim ``name`` of the claims in a token; None if it is missing.

    A name such as ``realm_access.roles`` also finds the claim ``roles`` within ``realm_access``.
    """
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _rules() -> GroupRules:
    return GroupRules.parse(
        settings.IMAGECATALOG_OIDC_GROUPS, settings.IMAGECATALOG_OIDC_ADMIN_GROUP
    )


def _counted(request: HttpRequest) -> tuple[str, Origin]:
    """Return the name and the origin under which the throttle counts the start of a sign-in.

    The user is not known yet: the name stands for the client's network, and no user can have it.
    """
    origin = origin_of(request)
    return f"\0{METHOD} {origin.network}", origin


def _fail(error: Exception) -> NoReturn:
    """Log the error because of which the provider did not sign a user in, and raise ProviderFailed."""
    reason = f"{type(error).__name__}: {error}"[:500]
    log.warning("sign-in at %s failed: %s", settings.IMAGECATALOG_OIDC_ISSUER, reason)
    if isinstance(error, RequestException):
        sentence = "The identity provider does not answer. Try again in a minute."
    else:
        sentence = (
            "The identity provider did not sign you in, or the sign-in took too long. "
            "Sign in again. If it happens again, ask an operator to read the log."
        )
    raise ProviderFailed(sentence) from None
