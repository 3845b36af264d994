"""Limits on failed sign-ins: for a name, for an address, and for one name from one address.

Accounts are never locked: everybody can try again after a minute. Two kinds of attempts are not
counted: with a password that was correct from the same address before, and with a correct generated
secret (see verification.py). The limit for a name does not apply to an address from which the name
has signed in before.

An attempt is counted before its secret is hashed, so that no more secrets are hashed than a limit
allows, however many attempts arrive at once. The count of a successful attempt is taken back.
"""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

from django.utils.crypto import salted_hmac

from imagecatalog.identity import attempt_counts
from imagecatalog.identity.attempt_counts import WINDOW, Count
from imagecatalog.identity.origin import Origin
from images import errors
from images.units import counted

# Attempts in one window. An address can be that of many users; a name is tried from few.
BY_BOTH: Final = 10
BY_ADDRESS: Final = 20
BY_NAME: Final = 30
REMEMBERED_AT_MOST: Final = 10_000

# For some seconds after a refusal the process refuses without asking the database, so that a
# flood of attempts does not load it. Attempts that other processes have taken back in the
# meantime are noticed after that.
ASKED_AGAIN: Final = 2  # seconds after a refusal


class Refusal(NamedTuple):
    """The decision of this process to refuse sign-ins until ``ends``, without reading the counts.

    The sign-ins are those for an address, or for a name from an address. From the time
    ``asked_again`` on, the next attempt reads the counts from the database again. Both times are
    seconds since 1970.
    """

    asked_again: int
    ends: int  # when the window of its attempts ends


_refused: dict[str, Refusal] = {}


class Attempt(NamedTuple):
    """A counted sign-in attempt: the keys that stand for its name and address, and their counts."""

    by_name: str
    by_both: str
    by_address: str  # empty if the address is unknown
    counts: list[Count]


def from_json(values: list[Any]) -> Attempt:
    """Convert an attempt that was stored as JSON, as in a session, back from nested lists."""
    by_name, by_both, by_address, counts = values
    return Attempt(by_name, by_both, by_address, [Count(*it) for it in counts])


def check(name: str, origin: Origin) -> None:
    """Raise TooManyAttempts if this process is refusing sign-ins for this name or address."""
    _check_refused(_attempt(name, origin), int(time.time()))


def count(name: str, origin: Origin) -> Attempt:
    """Count a sign-in attempt, and return it with its counts. Call it before the secret is checked.

    Raises TooManyAttempts if a limit is exceeded.
    """
    attempt = _attempt(name, origin)
    now = int(time.time())
    _check_refused(attempt, now)
    limits = {attempt.by_name: BY_NAME, attempt.by_both: BY_BOTH}
    if attempt.by_address:
        limits[attempt.by_address] = BY_ADDRESS
    attempt = attempt._replace(counts=attempt_counts.add(limits, now))
    if _is_known(attempt):
        del limits[attempt.by_name]
    over = [it for it in attempt.counts if it.number > limits.get(it.key, it.number)]
    if over:
        # A refused attempt is not counted: one address cannot use up the limit for a name.
        attempt_counts.subtract(attempt.counts)
        _remember_refused(attempt, over, now)
        _check_refused(attempt, now)
    return attempt


def succeeded(attempt: Attempt) -> None:
    """Take back the count of a successful attempt.

    Also sets the number of failures of the same name from the same address to 0.
    """
    now = int(time.time())
    attempt_counts.subtract(attempt.counts, right=attempt.by_both, now=now)


def _attempt(name: str, origin: Origin) -> Attempt:
    network = origin.network
    by_address = _key("address", network) if network else ""
    by_both = _key("name and address", f"{network} {name}")
    return Attempt(_key("name", name), by_both, by_address, [])


def _key(kind: str, text: str) -> str:
    """Return a keyed hash of a name or address, which is stored instead of the text.

    ``kind`` says what the text is. People sometimes type a password in place of their name.
    """
    salt = f"imagecatalog.identity.throttle {kind}"
    return salted_hmac(salt, text, algorithm="sha256").hexdigest()


def _is_known(attempt: Attempt) -> bool:
    """Return whether the name of an attempt has signed in from the same address before."""
    return any(it.right_at for it in attempt.counts if it.key == attempt.by_both)


def _remember_refused(attempt: Attempt, over: list[Count], now: int) -> None:
    for limited in sorted(over, key=lambda it: it.since):
        # After the limit for a name, only attempts from this address are refused in advance.
        is_name = limited.key == attempt.by_name
        key = attempt.by_both if is_name else limited.key
        if len(_refused) >= REMEMBERED_AT_MOST:
            _refused.clear()
        _refused[key] = Refusal(now + ASKED_AGAIN, limited.since + WINDOW)


def _check_refused(attempt: Attempt, now: int) -> None:
    refusals = (_refused.get(key) for key in (attempt.by_both, attempt.by_address))
    ends = [it.ends for it in refusals if it and now < min(it.asked_again, it.ends)]
    if ends:
        seconds = max(ends) - now
        raise errors.TooManyAttempts(
            "There were too many failed attempts to sign in. "
            f"Try again in {counted(seconds, 'second')}.",
            seconds,
        )
