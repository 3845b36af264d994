"""Encryption of secrets in the database, with keys that are derived from Django's SECRET_KEY.

SECRET_KEY encrypts and decrypts; the keys in SECRET_KEY_FALLBACKS only decrypt.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.crypto import salted_hmac

from images.errors import Conflict

SALT = "images.encryption"


def encrypt(secrets: Mapping[str, str]) -> str:
    """Return the secrets (name -> value) as one encrypted text."""
    return _cipher().encrypt(orjson.dumps(secrets)).decode()


def decrypt(text: str) -> dict[str, str]:
    """Return the secrets (name -> value) in a text that ``encrypt`` has returned.

    Raises Conflict if the key that encrypted them is no longer configured.
    """
    try:
        secrets: dict[str, str] = orjson.loads(_cipher().decrypt(text.encode()))
    except InvalidToken:
        raise Conflict(
            "The service has a new secret key, or was restored from a backup, and cannot read what "
            "was stored for this request. Send the request again."
        ) from None
    return secrets


def _cipher() -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    derived = [
        salted_hmac(SALT, "", str(key), algorithm="sha256").digest() for key in keys
    ]
    return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in derived])
