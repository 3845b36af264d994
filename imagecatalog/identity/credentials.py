"""From a user name and a password, or a static key, to who it is. Knows no HTTP."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection

from imagecatalog.identity.models import RoleAssignment

REMEMBERED_SECONDS = 300  # a password that was right is not hashed again
FRESH_SECONDS = 1.0  # who has just been looked up is not looked up again
REMEMBERED_AT_MOST = 10_000

# Asked by nearly every request: written out, as building it costs more than running it.
_SELECT = (
    f'SELECT u."password", a."project_id", a."role"'
    f' FROM "{RoleAssignment._meta.db_table}" a'
    f' JOIN "{get_user_model()._meta.db_table}" u ON u."id" = a."user_id"'
    f' WHERE u."username" = %s AND u."is_active" ORDER BY a."id" LIMIT 1'
)
# Who guesses passwords shall not keep the whole machine busy.
_hashing = threading.Lock()
_secret = secrets.token_bytes(32)


@dataclass(frozen=True)
class Identity:
    """A user, in the first of its projects."""

    user: str
    project: str
    role: str


@dataclass(frozen=True)
class _Verified:
    identity: Identity
    encoded: str  # the password hash that the credential matched
    hashed_at: float
    looked_up_at: float


_verified: dict[bytes, _Verified] = {}


def by_password(user: str, password: str) -> Identity | None:
    """The user with this password, if there is one.

    A password hash costs a third of a second on purpose. A credential that was right is
    therefore remembered for some minutes, as a keyed digest beside the hash that it matched,
    and that hash is compared with the user's present one: a changed password, a disabled user
    or a taken role counts at once in this process, and within a second in all others.
    """
    digest = _digest("password", user, password)
    known = _verified.get(digest)
    if known and _age(known.looked_up_at) < FRESH_SECONDS:
        return known.identity
    row = _row(user)
    if row is None:
        with _hashing:
            make_password(password)  # as slow as for a user that exists
        return None
    encoded, identity = row
    remembered = known and known.encoded == encoded
    if known and remembered and _age(known.hashed_at) < REMEMBERED_SECONDS:
        return _remember(digest, identity, encoded, known.hashed_at)
    with _hashing:
        if not check_password(password, encoded):
            return None
    return _remember(digest, identity, encoded, time.monotonic())


def by_key(key: str) -> Identity | None:
    """The user to whom IMAGECATALOG_STATIC_KEYS gives this key."""
    found = None
    for entry in settings.IMAGECATALOG_STATIC_KEYS:
        user, _, known = entry.partition(":")
        if known and hmac.compare_digest(known.encode(), key.encode()):
            found = user
    row = _row(found) if found else None
    return row[1] if row else None


def forget(**signal: object) -> None:
    """Receiver for whatever changes users and roles: look everybody up again."""
    _verified.clear()


def _row(user: str) -> tuple[str, Identity] | None:
    if "\0" in user:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_SELECT, [user])
        found = cursor.fetchone()
    return found and (found[0], Identity(user, found[1], found[2]))


def _digest(*parts: str) -> bytes:
    message = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.digest(_secret, message.encode(), hashlib.sha256)


def _age(moment: float) -> float:
    return time.monotonic() - moment


def _remember(
    digest: bytes, identity: Identity, encoded: str, hashed_at: float
) -> Identity:
    if len(_verified) >= REMEMBERED_AT_MOST:
        _verified.clear()
    _verified[digest] = _Verified(identity, encoded, hashed_at, time.monotonic())
    return identity
