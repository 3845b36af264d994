"""How a client is told to sign in."""

from __future__ import annotations

from django.conf import settings


def challenge() -> str:
    """The value of the header WWW-Authenticate for the configured sign-in mode."""
    if settings.IMAGECATALOG_AUTH == "keystone":
        return f'Keystone uri="{settings.IMAGECATALOG_KEYSTONE_URL}"'
    return 'Basic realm="imagecatalog"'
