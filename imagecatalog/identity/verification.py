"""Verification of passwords and secrets against their hashes.

Correct passwords and secrets are cached. A process computes only one slow hash at a time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from django.contrib.auth.hashers import check_password, make_password

from imagecatalog.identity import sign_in_counts, sign_in_log, throttle
from imagecatalog.identity.origin import Origin
from imagecatalog.identity.throttle import Attempt
from images import db, errors

REMEMBERED_SECONDS = 300  # a correct password is not hashed again
FRESH_SECONDS = 1.0  # an identity is not looked up again
REMEMBERED_AT_MOST = 10_000
WAITING_AT_MOST = (
    16  # for hashing: a quarter of the threads of a process, see server.py
)
GENERATED = "sha256$"  # prefix of fast hashes, enough for unguessable secrets

# Password guesses must neither use all processors nor block all threads.
_hashing = threading.Lock()
_guessing = threading.Lock()
_places = threading.BoundedSemaphore(WAITING_AT_MOST)
_secret = secrets.token_bytes(32)


@dataclass(frozen=True)
class Identity:
    """A user in a project, with the user's role there and the ``actions`` that a credential allows.

    The project is that of the token or application credential, else the user's first project.
    """

    user: str
    project: str | None
    role: str
    actions: frozenset[str] | None = None  # None: all that the role allows


@dataclass(frozen=True)
class _Verified:
    identity: Identity
    encoded: str  # the hash that the credential matched
    hashed_at: float
    looked_up_at: float
    change: object  # the value of `_change` before the look-up


Found = tuple[str, Identity]  # the hash that the secret must match, and its identity
_verified: dict[bytes, _Verified] = {}
_change = object()  # another object after each change of users, roles or credentials


@contextmanager
def hashing_slot(
    name: str, origin: Origin, *, is_guess: bool = True, was_right: bool = False
) -> Iterator[Attempt | None]:
    """A context manager within which no other thread of the process hashes a secret.

    Waits until no other thread hashes one. If ``is_guess``, the attempt is counted by the throttle
    and yielded; otherwise None is yielded. Raises TooManyAttempts if a limit on guesses is
    exceeded, or if too many threads wait. The number of waiting threads does not matter for a
    secret that ``was_right`` from this address before. Guesses are counted one after the other,
    because the count of a correct password is taken back: several correct passwords that arrive
    together must not exceed a limit.
    """
    guess = None
    if is_guess:
        throttle.check(name, origin)
    db.release_connection()
    with ExitStack() as locks:
        if not was_right:
            locks.enter_context(_place())
        if is_guess:
            locks.enter_context(_guessing)
            guess = throttle.count(name, origin)
            db.release_connection()
        locks.enter_context(_hashing)
        yield guess


@contextmanager
def _place() -> Iterator[None]:
    """A context manager that counts this thread among those that wait to hash a secret.

    Raises TooManyAttempts if too many threads wait already.
    """
    if not _places.acquire(blocking=False):
        raise errors.TooManyAttempts(
            "Too many clients are signing in at once. Try again in a few seconds."
        )
    try:
        yield
    finally:
        _places.release()


def hash_secret(secret: str, generated: bool) -> str:
    """Return the hash of an application credential's secret, for storage.

    A secret that the service has ``generated`` gets a fast hash, because it cannot be guessed.
    """
    if not generated:
        return make_password(secret)
    return GENERATED + hashlib.sha256(secret.encode()).hexdigest()


def forget(**signal: object) -> None:
    """Have all cached identities looked up again, after a signal about a changed user or credential.

    The cache of correct secrets and of the hashes that they matched is kept.
    """
    global _change
    _change = object()


def verify(
    login: tuple[str, str],
    secret: str,
    look_up: Callable[[str], Found | None],
    origin: Origin,
) -> Identity | None:
    """Return the identity that signs in if the secret is correct, else None.

    ``login`` is the method (``password`` or ``secret``) and the name; ``look_up`` returns the hash
    and the identity for a name, or None if there is none. Counts failures, and writes them to the
    sign-in log. Raises TooManyAttempts after too many failures.
    """
    method, name = login
    here = _digest(method, name, secret, origin.network)
    known, change = _verified.get(here), _change
    if known and _is_fresh(known):
        return known.identity
    encoded, identity = look_up(name) or (None, None)
    if identity and known and _still_holds(known, encoded):
        return _remember((here,), identity, known.encoded, known.hashed_at, change)
    if encoded is None and method == "secret":
        # Ids of application credentials are not secret: a slow response would hide nothing.
        # They cannot be guessed either, so the failure is not counted.
        sign_in_log.refused(name, origin, method)
        return None
    is_guess = not _is_no_guess(secret, encoded, known)
    anywhere = _digest(method, name, secret)
    if encoded and encoded.startswith(GENERATED):
        with sign_in_counts.counting_throttled(method):
            hashed_at = _unless_guess(is_guess, name, origin)
    else:
        was_right = here in _verified
        with (
            sign_in_counts.counting_throttled(method),
            hashing_slot(name, origin, is_guess=is_guess, was_right=was_right) as guess,
        ):
            hashed_at = _hashed(secret, encoded, anywhere)
        if guess and hashed_at is not None:
            throttle.succeeded(guess)
    if hashed_at is None or not (identity and encoded):
        sign_in_log.refused(identity.user if identity else name, origin, method)
        return None
    sign_in_counts.accepted(method)
    return _remember((here, anywhere), identity, encoded, hashed_at, change)


def _is_fresh(known: _Verified) -> bool:
    return known.change is _change and age(known.looked_up_at) < FRESH_SECONDS


def _still_holds(known: _Verified, encoded: str | None) -> bool:
    return known.encoded == encoded and age(known.hashed_at) < REMEMBERED_SECONDS


def _is_no_guess(secret: str, encoded: str | None, known: _Verified | None) -> bool:
    """Return True if an attempt with this secret is not counted as a guess.

    That is so if the secret was correct from this address before (then ``known`` has its hash), or
    if it is a generated secret and correct. ``encoded`` is the hash that it must match.
    """
    if encoded is None:
        return False
    return bool(known and known.encoded == encoded) or _is_generated(secret, encoded)


def _is_generated(secret: str, encoded: str) -> bool:
    hashed = hash_secret(secret, generated=True)
    return hmac.compare_digest(hashed.encode(), encoded.encode())


def _unless_guess(is_guess: bool, name: str, origin: Origin) -> float | None:
    """Return the present time for a correct generated secret; else count a guess and return None.

    ``is_guess`` is False if the secret was correct. The time is in seconds of the monotonic clock.
    Raises TooManyAttempts if a limit on guesses is exceeded.
    """
    if not is_guess:
        return time.monotonic()
    throttle.count(name, origin)
    return None


def _hashed(secret: str, encoded: str | None, anywhere: bytes) -> float | None:
    """Return the time at which the secret was found to match the hash ``encoded``.

    The time is in seconds of the monotonic clock. Returns None if the secret does not match, and if
    ``encoded`` is None; that takes equally long, so that the time does not reveal which names
    exist. ``anywhere`` is the key of the secret in the cache.
    """
    if encoded is None:
        make_password(secret)  # takes as long as for an existing name
        return None
    # Requests that waited with the same secret hash it once, from all addresses. The cache is
    # read only after the wait: an attacker whose request is refused while waiting must not learn
    # whether the secret is correct.
    known = _verified.get(anywhere)
    if known and _still_holds(known, encoded):
        return known.hashed_at
    return time.monotonic() if check_password(secret, encoded) else None


def _digest(*parts: str) -> bytes:
    message = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.digest(_secret, message.encode(), hashlib.sha256)


def age(moment: float) -> float:
    """Return the seconds that have passed since ``moment``, a reading of the monotonic clock."""
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
