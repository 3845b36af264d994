"""Verification of secrets: which were right before, and one at a time for those to be hashed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.contrib.auth.hashers import check_password, make_password

from imagecatalog.identity import sign_in_log, throttle
from imagecatalog.identity.origin import Origin
from images import db, errors

REMEMBERED_SECONDS = 300  # a password that was right is not hashed again
FRESH_SECONDS = 1.0  # who has just been looked up is not looked up again
REMEMBERED_AT_MOST = 10_000
WAITING_AT_MOST = 16  # to be hashed: half of the threads of a process, see server.py
GENERATED = "sha256$"  # the hash of a secret that nobody could guess need not be slow

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
Found = tuple[str, Identity]  # what the secret must match, and whose it is
_verified: dict[bytes, _Verified] = {}
_change = object()  # the last one of users, roles and credentials that was seen here


@contextmanager
def hashing_slot(was_right: bool = False) -> Iterator[None]:
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


def hash_secret(secret: str, generated: bool) -> str:
    """How the secret of an application credential is kept."""
    if not generated:
        return make_password(secret)
    return GENERATED + hashlib.sha256(secret.encode()).hexdigest()


def forget(**signal: object) -> None:
    """Receiver for whatever changes users, roles and credentials: look everybody up again.

    Which secrets were right stays known, beside the hashes that they matched.
    """
    global _change
    _change = object()


def verify(
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
        sign_in_log.refused(name, origin, method)
        return None
    hashed_at = _hashed(secret, encoded, here, anywhere)
    if hashed_at is None or not (identity and encoded):
        throttle.failed(attempt)
        sign_in_log.refused(identity.user if identity else name, origin, method)
        return None
    throttle.succeeded(attempt)
    return _remember((here, anywhere), identity, encoded, hashed_at, change)


def _is_fresh(known: _Verified) -> bool:
    return known.change is _change and age(known.looked_up_at) < FRESH_SECONDS


def _still_holds(known: _Verified, encoded: str | None) -> bool:
    return known.encoded == encoded and age(known.hashed_at) < REMEMBERED_SECONDS


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
    with hashing_slot(was_right=here in _verified):
        if encoded is None:
            make_password(secret)  # as slow as for one that exists
            return None
        # Those who waited together are hashed once, wherever they are. Not before it is their
        # turn: who cannot get one shall not learn from it whether the secret is right.
        known = _verified.get(anywhere)
        if known and _still_holds(known, encoded):
            return known.hashed_at
        return time.monotonic() if check_password(secret, encoded) else None


def _digest(*parts: str) -> bytes:
    message = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.digest(_secret, message.encode(), hashlib.sha256)


def age(moment: float) -> float:
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
