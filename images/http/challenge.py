"""The challenge that tells a client how to sign in (RFC 9110 section 11.6.1)."""

from __future__ import annotations

from django.conf import settings


def challenge() -> str:
    """Return the value of the header WWW-Authenticate for the configured sign-in mode."""
    if settings.IMAGECATALOG_AUTH == "keystone":
        return f'Keystone uri="{settings.IMAGECATALOG_KEYSTONE_URL}"'
    return 'Basic realm="imagecatalog"'
