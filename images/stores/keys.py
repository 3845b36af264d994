"""Which keys a store accepts: relative, of plain characters, never upwards. Knows no store."""

from __future__ import annotations

import re

from images.errors import StoreError

SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
KEY = re.compile(rf"{SEGMENT}(?:/{SEGMENT})*", re.ASCII)


def is_key(text: str) -> bool:
    """Plain segments between slashes; none begins with a dot, so none leads upwards."""
    return KEY.fullmatch(text) is not None


def checked(key: str) -> str:
    """The key itself; StoreError when it could lead out of the store."""
    if not is_key(key):
        raise StoreError("The store refuses this key: it is not one of a stored image.")
    return key
