"""The syntax of the keys of objects: relative paths of plain characters, without ``..``."""

from __future__ import annotations

import re

from images.errors import StoreError

SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
KEY = re.compile(rf"{SEGMENT}(?:/{SEGMENT})*", re.ASCII)


def is_key(text: str) -> bool:
    """Return whether a text is a key: plain segments between slashes, none beginning with a dot."""
    return KEY.fullmatch(text) is not None


def checked(key: str) -> str:
    """Return the key unchanged. Raises StoreError for a key that could lead out of the store."""
    if not is_key(key):
        raise StoreError(
            "The store refuses this key: it is not the key of a stored image."
        )
    return key
