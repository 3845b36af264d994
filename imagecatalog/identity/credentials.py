"""From a name and a password, or a key, to who it is. Knows no HTTP."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection
from django.utils import timezone

from imagecatalog.identity import journal, throttle
from imagecatalog.identity.models import ApplicationCredential, RoleAssignment
from imagecatalog.identity.origin import Origin
from images import db, errors
from images.access import implied

REMEMBERED_SECONDS = 300  # a password that was right is not hashed again
FRESH_SECONDS = 1.0  # who has just been looked up is not looked up again
REMEMBERED_AT_MOST = 10_000
LAST_USED_SECONDS = 300  # how exact `last_used_at` is: reads shall not become writes
WAITING_AT_MOST = 16  # to be hashed: half of the threads of a process, see server.py
GENERATED = "sha256$"  # the hash of a secret that nobody could guess need not be slow

# Asked by nearly every request: written out, as building it costs more than running it.
USERS = f'"{get_user_model()._meta.db_table}"'
ASSIGNMENTS = f'"{RoleAssignment._meta.db_table}"'
_SELECT = (
    f'SELECT u."password", a."project_id", a."role" FROM {ASSIGNMENTS} a'
    f' JOIN {USERS} u ON u."id" = a."user_id"'
    f' WHERE u."username" = %s AND u."is_active" ORDER BY a."id" LIMIT 1'
)
CREDENTIALS = f'"{ApplicationCredential._meta.db_table}"'
_CREDENTIAL = (
    'SELECT c."secret", u."username", c."project_id", a."role", c."role", c."actions"'
    f' FROM {CREDENTIALS} c JOIN {USERS} u ON u."id" = c."user_id"'
    f' JOIN {ASSIGNMENTS} a ON a."user_id" = u."id" AND a."project_id" = c."project_id"'
    ' WHERE c."id" = %s AND u."is_active"'
    ' AND (c."expires_at" IS NULL OR c."expires_at" > %s)'
)
# Who guesses passwords shall keep neither the whole machine busy nor all threads waiting.
_hashing = threading.Lock()
_places = threading.BoundedSemaphore(WAITING_AT_MOST)
_secret = secrets.token_bytes(32)


@dataclass(frozen=True)
class Identity:
    """A user, in one of its projects: the first, or the one that its key or token is for."""

    user: str
    project: str | None
    role: str
    actions: frozenset[str] | None = None  # the only ones, if there is a limit


@dataclass(frozen=True)
class _Verified:
    identity: Identity
    encoded: str  # the hash that the credential matched
    hashed_at: float
    looked_up_at: float
    change: object  # the last one that was seen before that


NOWHERE = Origin()
CREDENTIAL_ID = re.compile("[0-9a-f]{32}")
Found = tuple[str, Identity]  # what the secret must match, and whose it is

_verified: dict[bytes, _Verified] = {}
_touched: dict[str, float] = {}
_change = object()  # the last one of users, roles and credentials that was seen here


def by_password(user: str, password: str, origin: Origin = NOWHERE) -> Identity | None:
    """The user with this password, if there is one. Raises TooManyAttempts.

    A password hash costs a third of a second on purpose. A credential that was right is
    therefore not hashed again for some minutes: it is remembered as a keyed digest beside the
    hash that it matched, and that hash is compared with the user's present one. A changed
    password, a disabled user or a taken role counts at once in this process, and within a
    second in all others.

    It is remembered where it was right, too, and longer: an address that had it once never
    waits with it. Other addresses wait as they do with wrong ones: who guesses would else be
    told by the answer which one is right.
    """
    return _sign_in(("password", user), password, _row, origin)


def by_secret(name: str, secret: str, origin: Origin = NOWHERE) -> Identity | None:
    """The user of the application credential with this id, if the secret is right.

    Raises TooManyAttempts.
    """
    identity = _sign_in(("secret", name), secret, _credential, origin)
    if identity:
        _touch(name)
    return identity


def by_key(key: str, origin: Origin = NOWHERE) -> Identity | None:
    """Whom a key belongs to: one of IMAGECATALOG_STATIC_KEYS, or ``ID.SECRET`` of an
    application credential. Raises TooManyAttempts.
    """
    found = None
    for entry in settings.IMAGECATALOG_STATIC_KEYS:
        user, _, known = entry.partition(":")
        if known and hmac.compare_digest(known.encode(), key.encode()):
            found = user
    if found is None:
        name, _, secret = key.partition(".")
        is_one = CREDENTIAL_ID.fullmatch(name) and secret
        return by_secret(name, secret, origin) if is_one else None
    row = _row(found)
    return row[1] if row else None


@contextmanager
def turn(was_right: bool = False) -> Iterator[None]:
    """Hash alone. Raises TooManyAttempts, unless this was right here before: that is no guess."""
    db.release_connection()
    if was_right:
        with _hashing:
            yield
        return
    if not _places.acquire(blocking=False):
        raise errors.TooManyAttempts(
            "Too many are signing in at this moment. Try again in a few seconds."
        )
    try:
        with _hashing:
            yield
    finally:
        _places.release()


def least(one: str, other: str) -> str | None:
    """The role that both include."""
    return next(
        (it for it in (one, other) if {it} <= implied(one) & implied(other)), None
    )


def hash_secret(secret: str, generated: bool) -> str:
    """How the secret of an application credential is kept."""
    if not generated:
        return make_password(secret)
    return GENERATED + hashlib.sha256(secret.encode()).hexdigest()


def database_time(moment: datetime) -> Any:
    """A time as a parameter of written-out SQL."""
    return connection.ops.adapt_datetimefield_value(moment)


def forget(**signal: object) -> None:
    """Receiver for whatever changes users, roles and credentials: look everybody up again.

    Which secrets were right stays known, beside the hashes that they matched.
    """
    global _change
    _change = object()


def _sign_in(
    who: tuple[str, str],
    secret: str,
    look_up: Callable[[str], Found | None],
    origin: Origin,
) -> Identity | None:
    method, name = who
    anywhere = _digest(method, name, secret)
    here = _digest(method, name, secret, origin.source)
    known, change = _verified.get(here), _change
    if known and _is_fresh(known):
        return known.identity
    encoded, identity = look_up(name) or (None, None)
    if identity and known and _still_holds(known, encoded):
        return _remember((here,), identity, known.encoded, known.hashed_at, change)
    attempt = (name[:150], origin.source)
    if not _is_no_guess(secret, encoded, known):
        throttle.check(attempt)
    if encoded is None and method == "secret":
        # Ids of application credentials are no secret: there is nothing to hide by being slow,
        # and nothing to guess, so nothing is counted either.
        journal.refused(name, origin, method)
        return None
    hashed_at = _hashed(secret, encoded, here, anywhere)
    if hashed_at is None or not (identity and encoded):
        throttle.failed(attempt)
        journal.refused(identity.user if identity else name, origin, method)
        return None
    throttle.succeeded(attempt)
    return _remember((here, anywhere), identity, encoded, hashed_at, change)


def _is_fresh(known: _Verified) -> bool:
    return known.change is _change and _age(known.looked_up_at) < FRESH_SECONDS


def _still_holds(known: _Verified, encoded: str | None) -> bool:
    return known.encoded == encoded and _age(known.hashed_at) < REMEMBERED_SECONDS


def _is_no_guess(secret: str, encoded: str | None, known: _Verified | None) -> bool:
    """It was right here before, or nobody could have guessed it: failures do not matter."""
    if encoded is None:
        return False
    return bool(known and known.encoded == encoded) or _is_generated(secret, encoded)


def _is_generated(secret: str, encoded: str) -> bool:
    hashed = hash_secret(secret, generated=True)
    return hmac.compare_digest(hashed.encode(), encoded.encode())


def _hashed(
    secret: str, encoded: str | None, here: bytes, anywhere: bytes
) -> float | None:
    """When it was found to match this hash; None: it does not."""
    if encoded and encoded.startswith(GENERATED):
        return time.monotonic() if _is_generated(secret, encoded) else None
    with turn(was_right=here in _verified):
        if encoded is None:
            make_password(secret)  # as slow as for one that exists
            return None
        # Those who waited together are hashed once, wherever they are. Not before it is their
        # turn: who cannot get one shall not learn from it whether the secret is right.
        known = _verified.get(anywhere)
        if known and _still_holds(known, encoded):
            return known.hashed_at
        return time.monotonic() if check_password(secret, encoded) else None


def _row(user: str) -> Found | None:
    if "\0" in user:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_SELECT, [user])
        found = cursor.fetchone()
    return found and (found[0], Identity(user, found[1], found[2]))


def _credential(name: str) -> Found | None:
    if "\0" in name:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_CREDENTIAL, [name, database_time(timezone.now())])
        found = cursor.fetchone()
    role = found and least(found[3], found[4])
    if not role:
        return None
    encoded, user, project = found[:3]
    actions = orjson.loads(found[5]) if found[5] else None
    limit = None if actions is None else frozenset(actions)
    return encoded, Identity(user, project, role, limit)


def _touch(name: str) -> None:
    """Note that an application credential was used, unless that was noted just now."""
    if name in _touched and _age(_touched[name]) < LAST_USED_SECONDS:
        return
    _touched[name] = time.monotonic()
    now = timezone.now()
    ApplicationCredential.objects.filter(pk=name).update(last_used_at=now)


def _digest(*parts: str) -> bytes:
    message = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.digest(_secret, message.encode(), hashlib.sha256)


def _age(moment: float) -> float:
    return time.monotonic() - moment


def _remember(
    digests: tuple[bytes, ...],
    identity: Identity,
    encoded: str,
    hashed_at: float,
    change: object,
) -> Identity:
    if len(_verified) >= REMEMBERED_AT_MOST:
        _verified.clear()
    now = time.monotonic()
    verified = _Verified(identity, encoded, hashed_at, now, change)
    _verified.update(dict.fromkeys(digests, verified))
    return identity
