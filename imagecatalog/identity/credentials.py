"""Look-ups of a user's identity by a password, an application credential or a key."""

from __future__ import annotations

import hmac
import re
import time
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from imagecatalog.identity.models import ApplicationCredential, RoleAssignment
from imagecatalog.identity.origin import NOWHERE, Origin
from imagecatalog.identity.verification import Found, Identity, age, verify
from images.access import implied

# One sentence for all reasons: a client that guesses does not learn which guess is right.
REFUSED = (
    "The user name, password or key is wrong, or the user has no role in any project. "
    "An operator can assign roles."
)
LAST_USED_SECONDS = 300  # precision of `last_used_at`: few reads cause a write

# Nearly every request runs these queries. They are plain SQL, because building a query with
# the ORM costs more than running it.
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
CREDENTIAL_ID = re.compile("[0-9a-f]{32}")
_touched: dict[str, float] = {}


def by_password(user: str, password: str, origin: Origin = NOWHERE) -> Identity | None:
    """Return the identity of the user if the password is correct, else None.

    Hashing a password deliberately takes a third of a second. A correct password is therefore
    not hashed again for some minutes: the process keeps a keyed digest of it together with the
    hash that it matched, and compares this hash with the user's current one. A changed
    password, a disabled user or a removed role takes effect at once in this process, and within
    a second in all others.

    The process also keeps, for longer, from which address a password was correct: the throttle
    does not delay the same password from this address again. From other addresses it delays a
    correct password like a wrong one; otherwise the response would tell an attacker which guess
    is correct. Raises TooManyAttempts after too many failures, or while too many sign-ins wait.
    """
    return verify(("password", user), password, _row, origin)


def by_secret(name: str, secret: str, origin: Origin = NOWHERE) -> Identity | None:
    """Return the identity of an application credential if the secret is correct, else None.

    ``name`` is the id of the credential. Also saves the time at which the credential was used.
    Raises TooManyAttempts after too many failures.
    """
    identity = verify(("secret", name), secret, _credential, origin)
    if identity:
        _touch(name)
    return identity


def by_key(key: str, origin: Origin = NOWHERE) -> Identity | None:
    """Return the identity to which a key belongs, or None if the key is not valid.

    A key is one of IMAGECATALOG_STATIC_KEYS, or ``ID.SECRET`` of an application credential.
    Raises TooManyAttempts after too many failures.
    """
    owner = None
    for entry in settings.IMAGECATALOG_STATIC_KEYS:
        user, _, known = entry.partition(":")
        if known and hmac.compare_digest(known.encode(), key.encode()):
            owner = user
    if owner is None:
        name, _, secret = key.partition(".")
        is_credential = CREDENTIAL_ID.fullmatch(name) and secret
        return by_secret(name, secret, origin) if is_credential else None
    row = _row(owner)
    return row[1] if row else None


def common_role(one: str, other: str) -> str | None:
    """Return the lower of two roles, which the higher one includes.

    None if neither role includes the other.
    """
    return next(
        (role for role in (one, other) if {role} <= implied(one) & implied(other)), None
    )


def database_time(moment: datetime) -> Any:
    """Convert a time to a parameter for plain SQL statements, in the form that the database expects."""
    return connection.ops.adapt_datetimefield_value(moment)


def _row(user: str) -> Found | None:
    if "\0" in user:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_SELECT, [user])
        row = cursor.fetchone()
    return row and (row[0], Identity(user, row[1], row[2]))


def _credential(name: str) -> Found | None:
    if "\0" in name:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_CREDENTIAL, [name, database_time(timezone.now())])
        row = cursor.fetchone()
    role = row and common_role(row[3], row[4])
    if not role:
        return None
    encoded, user, project = row[:3]
    actions = orjson.loads(row[5]) if row[5] else None
    limit = None if actions is None else frozenset(actions)
    return encoded, Identity(user, project, role, limit)


def _touch(name: str) -> None:
    """Save the present time as the last use of the application credential with the id ``name``.

    Does so at most every five minutes.
    """
    if name in _touched and age(_touched[name]) < LAST_USED_SECONDS:
        return
    _touched[name] = time.monotonic()
    now = timezone.now()
    ApplicationCredential.objects.filter(pk=name).update(last_used_at=now)
