"""Who guesses is slowed down: failures are counted by name and address, in this process.

Nothing is locked: what was right from the same address before works there all the while, and a
secret that was generated works everywhere, see credentials.py; after a minute everybody may try
again. What all guesses together cost is bounded elsewhere, as a process hashes one password at
a time.
"""

from __future__ import annotations

import math
import threading
import time

from images import errors

FAILURES = 10  # so many are free
WINDOW = 60.0  # seconds, from the first of them
REMEMBERED_AT_MOST = 10_000

Who = tuple[str, str]  # name, and the address it is tried from

_lock = threading.Lock()
_failures: dict[Who, tuple[float, int]] = {}  # since when, how many; the oldest first


def check(who: Who) -> None:
    """Raise TooManyAttempts while this name was tried too often from this address."""
    since, count = _failures.get(who, (0.0, 0))
    left = since + WINDOW - time.monotonic()
    if count >= FAILURES and left > 0:
        seconds = math.ceil(left)
        raise errors.TooManyAttempts(
            "There were too many failed attempts to sign in. "
            f"Try again in {seconds} seconds.",
            seconds,
        )


def failed(who: Who) -> None:
    """Count a failure."""
    now = time.monotonic()
    with _lock:
        since, count = _failures.get(who, (now, 0))
        if now - since >= WINDOW:
            del _failures[who]
            since, count = now, 0
        if who not in _failures and len(_failures) >= REMEMBERED_AT_MOST:
            del _failures[next(iter(_failures))]
        _failures[who] = (since, count + 1)


def succeeded(who: Who) -> None:
    """It was the right one: earlier failures were slips."""
    with _lock:
        _failures.pop(who, None)
