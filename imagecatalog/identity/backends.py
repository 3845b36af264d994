"""The authentication backends of the browser admin, with the same limits on attempts as the APIs.

A password is compared with that of the service's own user first, then with the one in the LDAP
directory, if a directory is configured.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from imagecatalog.identity import sign_in_counts, sign_in_log, throttle, verification
from imagecatalog.identity.origin import NOWHERE, origin_of
from images.http.client_address import client

SINGLE_SIGN_ON: Final = f"{__name__}.SingleSignOn"  # as sessions name their backend


class Passwords(ModelBackend):
    """Django's password backend, with limits on attempts and on concurrent hashing of passwords."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **credentials: Any,
    ) -> Any:
        """Return the user with this name and password, or None if there is no such user.

        Also finds users of the LDAP directory, if one is configured. Raises TooManyAttempts if a
        limit on attempts is exceeded, Forbidden if the password is right but the directory's user
        has no access, and DirectoryFailed if the directory cannot check the password.
        """
        if username is None or password is None:
            return None
        origin = origin_of(request) if request else NOWHERE
        user: Any = None
        method = "password"
        with (
            sign_in_counts.counting_throttled(method),
            verification.hashing_slot(username, origin) as guess,
        ):
            if settings.IMAGECATALOG_PASSWORD_SIGN_IN:
                user = super().authenticate(request, username, password, **credentials)
        if user is None and settings.IMAGECATALOG_LDAP_URL:
            from imagecatalog.identity import ldap_directory

            method = ldap_directory.METHOD
            user = ldap_directory.authenticate(request, username, password)
        if user is None:
            sign_in_log.refused(username, origin, method)
            return None
        sign_in_counts.accepted(method)
        if guess:
            throttle.succeeded(guess)
        return user


class SingleSignOn(ModelBackend):
    """The backend of users who have signed in at an identity provider.

    Django loads the users of these sessions with it. It checks no passwords.
    """

    def authenticate(self, *args: Any, **credentials: Any) -> None:
        """Return None: this backend signs nobody in by a password."""


def client_address(request: HttpRequest) -> str | None:
    """Return the client address by which django-axes counts failures (AXES_CLIENT_IP_CALLABLE).

    Returns None for an unknown address, because django-axes does not count failures of ``""``.
    """
    return client(request) or None
