"""The second factor of a sign-in with a password: one-time codes of an app (TOTP, RFC 6238).

A code is accepted only once. After 10 wrong codes in a row, attempts are refused for 15 minutes.
The database records both facts, so that they hold on all machines. Ten recovery codes, each for one
sign-in, replace a lost app; only their hashes are stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from datetime import timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from imagecatalog.identity import sign_in_counts, sign_in_log
from imagecatalog.identity.models import SecondFactor
from imagecatalog.identity.origin import Origin
from images import encryption, errors

DIGITS: Final = 6
PERIOD: Final = 30  # seconds
WRONG_AT_MOST: Final = 10  # codes, of a user who has given the right password
WAIT: Final = timedelta(minutes=15)
RECOVERY_CODES: Final = 10
METHOD: Final = "second factor"  # in the sign-in log
ISSUER: Final = "Image catalogue"  # as apps show it


def new_secret() -> str:
    """Return a new random secret for an app that makes one-time codes, in base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def uri(secret: str, name: str) -> str:
    """Return the ``otpauth:`` URI of the user ``name`` and a secret; apps read it from a QR code."""
    return _totp(secret).get_provisioning_uri(name, ISSUER)


def is_set_up(user: Any) -> bool:
    """Return whether a user has a second factor."""
    return SecondFactor.objects.filter(user=user).exists()


def set_up(user: Any, secret: str, code: str, origin: Origin) -> list[str]:
    """Store the secret of a user's app, if the app's ``code`` is right; return new recovery codes.

    Raises Invalid if the code is wrong, and Conflict if the user has a second factor already.
    """
    counter = _counter_of(secret, _clean(code))
    if counter is None:
        raise errors.Invalid(
            "The code is wrong. Check the time of your device, and enter the next code."
        )
    codes = [secrets.token_hex(8) for _ in range(RECOVERY_CODES)]
    values = {
        "secret": encryption.encrypt({"totp": secret}),
        "counter": counter,
        "recovery_codes": [_hashed(code) for code in codes],
    }
    with transaction.atomic():
        _, is_new = SecondFactor.objects.get_or_create(user=user, defaults=values)
        if not is_new:
            raise errors.Conflict("You have a second factor already. Remove it first.")
        sign_in_log.record("second_factor_set_up", user.get_username(), origin)
    return [f"{code[:8]}-{code[8:]}" for code in codes]


def remove(user: Any, origin: Origin) -> bool:
    """Remove the second factor of a user; return True if the user had one, else False."""
    with transaction.atomic():
        removed, _ = SecondFactor.objects.filter(user=user).delete()
        if removed:
            sign_in_log.record("second_factor_remove", user.get_username(), origin)
    return bool(removed)


def check(user: Any, code: str, origin: Origin) -> bool:
    """Return whether ``code`` is right: a code of the user's app, or a recovery code.

    Each code is accepted only once. A wrong code is recorded in the sign-in log. Raises
    TooManyAttempts after too many wrong codes, and Conflict if the stored secret of the app cannot
    be decrypted any more.
    """
    with sign_in_counts.counting_throttled(METHOD):
        _count(user)
    code = _clean(code)
    use = _use_code if len(code) == DIGITS else _use_recovery_code
    is_right = use(user, code)
    if is_right:
        sign_in_counts.accepted(METHOD)
        SecondFactor.objects.filter(user=user).update(wrong=0)
    else:
        sign_in_log.refused(user.get_username(), origin, METHOD)
    return is_right


def _count(user: Any) -> None:
    """Count an attempt of a user to enter a code, before the code is checked.

    Many attempts at once can therefore not exceed the limit. Raises TooManyAttempts if 10 attempts
    in a row have failed, the last of them less than 15 minutes ago.
    """
    now = timezone.now()
    rows = SecondFactor.objects.filter(user=user)
    if rows.filter(wrong__lt=WRONG_AT_MOST).update(wrong=F("wrong") + 1, wrong_at=now):
        return
    if rows.filter(wrong_at__lt=now - WAIT).update(wrong=1, wrong_at=now):
        return
    raise errors.TooManyAttempts(
        "There were too many wrong codes. Try again in 15 minutes.",
        int(WAIT.total_seconds()),
    )


def _use_code(user: Any, code: str) -> bool:
    row = SecondFactor.objects.filter(user=user).first()
    if row is None:
        return False
    try:
        secret = encryption.decrypt(row.secret)["totp"]
    except errors.Conflict:
        raise errors.Conflict(
            "The second factor cannot be read with the secret key of the service. Sign in with a "
            "recovery code, or ask an operator to remove it (second_factor_remove)."
        ) from None
    counter = _counter_of(secret, code)
    if counter is None:
        return False
    unused = SecondFactor.objects.filter(user=user, counter__lt=counter)
    return bool(unused.update(counter=counter))


def _use_recovery_code(user: Any, code: str) -> bool:
    with transaction.atomic():
        row = SecondFactor.objects.select_for_update().filter(user=user).first()
        hashed = _hashed(code)
        if row is None or hashed not in row.recovery_codes:
            return False
        row.recovery_codes.remove(hashed)
        row.save(update_fields=["recovery_codes"])
    return True


def _counter_of(secret: str, code: str) -> int | None:
    """Return the number of the 30-second period (counted from 1970) for which a TOTP code is right.

    Tries the present, the previous and the next period, because clocks differ. Returns None if the
    code is right for none of them.
    """
    totp, now = _totp(secret), int(time.time()) // PERIOD
    for counter in (now, now - 1, now + 1):
        if hmac.compare_digest(totp.generate(counter * PERIOD), code.encode()):
            return counter
    return None


def _totp(secret: str) -> TOTP:
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), PERIOD)


def _clean(code: str) -> str:
    return code.replace(" ", "").replace("-", "").lower()


def _hashed(code: str) -> str:
    """Return the SHA-256 hash of a recovery code, which is too long to be guessed from its hash."""
    return hashlib.sha256(code.encode()).hexdigest()
