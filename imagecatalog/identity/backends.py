"""How the browser admin signs in: by Django's own way, in turn with everybody else."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from imagecatalog.identity import verification
from images.http.client_address import client


class Passwords(ModelBackend):
    """Users and permissions of Django; what strangers send is hashed when it is its turn."""

    def authenticate(self, *args: Any, **kwargs: Any) -> Any:
        """The user with this password, if there is one. Raises TooManyAttempts."""
        with verification.hashing_slot():
            return super().authenticate(*args, **kwargs)


def client_address(request: HttpRequest) -> str | None:
    """Whose guesses they are: django-axes' AXES_CLIENT_IP_CALLABLE. It counts by None, not by ''."""
    return client(request) or None
