"""Sign-in with a real Keystone, by the WSGI middleware of the package keystonemiddleware.

The middleware removes identity headers that a client has sent, lets Keystone check the tokens, and
sets the identity headers. It refuses no requests, because some paths need no sign-in.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

CACHE = "imagecatalog.token_cache"  # a key of the WSGI environment
REMEMBERED_AT_MOST = 10_000


def protect(application: Any) -> Any:
    """Wrap a WSGI application, so that keystonemiddleware checks the token of each request.

    Raises ImproperlyConfigured if the package keystonemiddleware is not installed.
    """
    try:
        from keystoneauth1 import exceptions as failures
        from keystonemiddleware import auth_token
        from webob.exc import HTTPServiceUnavailable
    except ImportError:
        raise ImproperlyConfigured(
            "IMAGECATALOG_AUTH=keystone needs the package keystonemiddleware. "
            "Install it with `pip install -r requirements.txt`."
        ) from None

    unavailable = (
        auth_token.ServiceError,
        failures.ConnectFailure,
        failures.DiscoveryFailure,
        failures.RequestTimeout,
    )

    class Protocol(auth_token.AuthProtocol):  # type: ignore[misc]
        def fetch_token(self, *args: Any, **kwargs: Any) -> Any:
            """Check a token; raise HTTPServiceUnavailable (503) if Keystone does not answer.

            Without this method the middleware would answer 401.
            """
            try:
                return super().fetch_token(*args, **kwargs)
            except auth_token.InvalidToken as error:
                if isinstance(error.__context__, unavailable):
                    raise HTTPServiceUnavailable(
                        "Keystone does not answer. Try again in a few seconds."
                    ) from error
                raise

        def process_response(self, response: Any) -> Any:
            """Return the response unchanged: the application has already set WWW-Authenticate."""
            return response

    protected = Protocol(application, _configuration())
    cache = TokenCache()

    def with_cache(environ: dict[str, Any], start_response: Any) -> Any:
        environ[CACHE] = cache
        return protected(environ, start_response)

    return with_cache


def _configuration() -> dict[str, Any]:
    """Return the settings of this service as options of keystonemiddleware."""
    return {
        "auth_type": "password",
        "auth_url": settings.IMAGECATALOG_KEYSTONE_URL,
        "username": settings.IMAGECATALOG_KEYSTONE_USERNAME,
        "password": settings.IMAGECATALOG_KEYSTONE_PASSWORD,
        "project_name": settings.IMAGECATALOG_KEYSTONE_PROJECT_NAME,
        "user_domain_id": settings.IMAGECATALOG_KEYSTONE_DOMAIN,
        "project_domain_id": settings.IMAGECATALOG_KEYSTONE_DOMAIN,
        "www_authenticate_uri": settings.IMAGECATALOG_KEYSTONE_URL,
        "delay_auth_decision": True,
        "include_service_catalog": False,
        "service_token_roles": ["service"],
        "service_token_roles_required": True,
        "service_type": "image",
        "cache": CACHE,
    }


class TokenCache:
    """A cache of checked tokens in this process, with the interface of a memcached client.

    keystonemiddleware's own cache would iterate over all entries at every look-up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Any]] = {}

    def get(self, key: str) -> Any:
        """Return the value that is cached for a key, or None if it is missing or has expired."""
        until, value = self._kept.get(key, (0.0, None))
        return value if time.monotonic() < until else None

    def set(self, key: str, value: Any, time: int = 0, timeout: int = 0) -> bool:
        """Cache a value for ``time`` seconds, or for ``timeout`` if ``time`` is 0. Returns True."""
        with self._lock:
            if len(self._kept) >= REMEMBERED_AT_MOST:
                self._kept.clear()
            self._kept[key] = (_now() + (time or timeout), value)
        return True


def _now() -> float:
    return time.monotonic()
