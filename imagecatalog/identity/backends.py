"""The sign-in of the browser admin: Django's own, which shares the limits of the APIs."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from imagecatalog.identity import verification
from images.http.client_address import client


class Passwords(ModelBackend):
    """The backend of Django, which hashes one password at a time in each process."""

    def authenticate(self, *args: Any, **kwargs: Any) -> Any:
        """Return the user with this password, or None. Raises TooManyAttempts."""
        with verification.hashing_slot():
            return super().authenticate(*args, **kwargs)


def client_address(request: HttpRequest) -> str | None:
    """Return the address for which django-axes counts failures (AXES_CLIENT_IP_CALLABLE).

    An unknown address is None, because django-axes does not count failures of ''.
    """
    return client(request) or None
