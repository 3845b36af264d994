"""Limits on failed sign-ins, counted by name and address in each process.

No account is locked: a password that was correct before still works from the same address, and
a generated secret works from every address (see verification.py); all others can be tried again
after a minute. The total cost of all guesses is limited elsewhere: a process hashes one password
at a time.
"""

from __future__ import annotations

import math
import threading
import time

from images import errors

FAILURES = 10  # allowed in one window
WINDOW = 60.0  # seconds, from the first failure
REMEMBERED_AT_MOST = 10_000

Attempt = tuple[str, str]  # the name and the address of the client

_lock = threading.Lock()
_failures: dict[Attempt, tuple[float, int]] = {}  # start, number; oldest first


def check(attempt: Attempt) -> None:
    """Raise TooManyAttempts if there were too many failures for this name and address."""
    since, count = _failures.get(attempt, (0.0, 0))
    left = since + WINDOW - time.monotonic()
    if count >= FAILURES and left > 0:
        seconds = math.ceil(left)
        raise errors.TooManyAttempts(
            "There were too many failed attempts to sign in. "
            f"Try again in {seconds} seconds.",
            seconds,
        )


def failed(attempt: Attempt) -> None:
    """Count a failed attempt."""
    now = time.monotonic()
    with _lock:
        since, count = _failures.get(attempt, (now, 0))
        if now - since >= WINDOW:
            del _failures[attempt]
            since, count = now, 0
        if attempt not in _failures and len(_failures) >= REMEMBERED_AT_MOST:
            del _failures[next(iter(_failures))]
        _failures[attempt] = (since, count + 1)


def succeeded(attempt: Attempt) -> None:
    """Clear the failures of this name and address after a successful sign-in."""
    with _lock:
        _failures.pop(attempt, None)
