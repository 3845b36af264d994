"""From a user name and a password, or a static key, to who it is. Knows no HTTP."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection

from imagecatalog.identity.models import RoleAssignment

REMEMBERED_SECONDS = 300
REMEMBERED_AT_MOST = 10_000

# Asked by every request: written out, because building it would cost more than running it.
_SELECT = (
    f'SELECT u."password", a."project_id", a."role"'
    f' FROM "{RoleAssignment._meta.db_table}" a'
    f' JOIN "{get_user_model()._meta.db_table}" u ON u."id" = a."user_id"'
    f' WHERE u."username" = %s AND u."is_active" ORDER BY a."id" LIMIT 1'
)
_secret = secrets.token_bytes(32)
_verified: dict[bytes, tuple[str, float]] = {}


@dataclass(frozen=True)
class Identity:
    """A user, in the first of its projects."""

    user: str
    project: str
    role: str


def by_password(user: str, password: str) -> Identity | None:
    """The user with this password, if there is one, in one query.

    A password hash costs a third of a second on purpose. A credential that was right is
    therefore remembered for some minutes, as a keyed digest beside the hash that it matched:
    a changed password, a disabled user or a taken role counts from the next request on.
    """
    row = _row(user)
    if row is None:
        make_password(password)  # as slow as for a user that exists
        return None
    encoded, identity = row
    digest = _digest(user, password)
    if not _remembered(digest, encoded):
        if not check_password(password, encoded):
            return None
        _remember(digest, encoded)
    return identity


def by_key(key: str) -> Identity | None:
    """The user to whom IMAGECATALOG_STATIC_KEYS gives this key."""
    found = None
    for entry in settings.IMAGECATALOG_STATIC_KEYS:
        user, _, known = entry.partition(":")
        if known and hmac.compare_digest(known.encode(), key.encode()):
            found = user
    row = _row(found) if found else None
    return row[1] if row else None


def _row(user: str) -> tuple[str, Identity] | None:
    if "\0" in user:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_SELECT, [user])
        found = cursor.fetchone()
    return found and (found[0], Identity(user, found[1], found[2]))


def _digest(user: str, password: str) -> bytes:
    message = f"{len(user)}:{user}:{password}".encode()
    return hmac.digest(_secret, message, hashlib.sha256)


def _remembered(digest: bytes, encoded: str) -> bool:
    known, until = _verified.get(digest, ("", 0.0))
    return known == encoded and time.monotonic() < until


def _remember(digest: bytes, encoded: str) -> None:
    if len(_verified) >= REMEMBERED_AT_MOST:
        _verified.clear()
    _verified[digest] = (encoded, time.monotonic() + REMEMBERED_SECONDS)
