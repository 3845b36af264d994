"""Sign-in by a real Keystone: its own middleware around the application.

The middleware takes the identity headers away that a client has sent, has Keystone check the
tokens, and writes down who it is. It decides nothing: paths that need no sign-in stay open.
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
    """The application behind keystonemiddleware. Raises ImproperlyConfigured."""
    try:
        from keystoneauth1 import exceptions as failures
        from keystonemiddleware import auth_token
        from webob.exc import HTTPServiceUnavailable
    except ImportError:
        raise ImproperlyConfigured(
            "IMAGECATALOG_AUTH=keystone needs the package keystonemiddleware. "
            "`pip install -r requirements.txt` brings it."
        ) from None

    unavailable = (
        auth_token.ServiceError,
        failures.ConnectFailure,
        failures.DiscoveryFailure,
        failures.RequestTimeout,
    )

    class Protocol(auth_token.AuthProtocol):  # type: ignore[misc]
        def fetch_token(self, *args: Any, **kwargs: Any) -> Any:
            """Nobody's token is wrong because Keystone does not answer."""
            try:
                return super().fetch_token(*args, **kwargs)
            except auth_token.InvalidToken as error:
                if isinstance(error.__context__, unavailable):
                    raise HTTPServiceUnavailable(
                        "Keystone does not answer. Try again in a moment."
                    ) from error
                raise

        def process_response(self, response: Any) -> Any:
            return response  # the application has said how to sign in

    protected = Protocol(application, _configuration())
    cache = TokenCache()

    def with_cache(environ: dict[str, Any], start_response: Any) -> Any:
        environ[CACHE] = cache
        return protected(environ, start_response)

    return with_cache


def _configuration() -> dict[str, Any]:
    """Options of ``[keystone_authtoken]``, as they are named there."""
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
    """What Keystone has said about tokens, in this process, in memcached's words.

    The middleware's own cache walks all its entries whenever one is looked up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Any]] = {}

    def get(self, key: str) -> Any:
        until, value = self._kept.get(key, (0.0, None))
        return value if time.monotonic() < until else None

    def set(self, key: str, value: Any, time: int = 0, timeout: int = 0) -> bool:
        with self._lock:
            if len(self._kept) >= REMEMBERED_AT_MOST:
                self._kept.clear()
            self._kept[key] = (_now() + (time or timeout), value)
        return True


def _now() -> float:
    return time.monotonic()
