"""Who a name and a password, or a key, belong to: the look-ups. Knows no HTTP."""

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
from imagecatalog.identity.origin import Origin
from imagecatalog.identity.verification import NOWHERE, Found, Identity, age, verify
from images.access import implied

LAST_USED_SECONDS = 300  # how exact `last_used_at` is: reads shall not become writes

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
CREDENTIAL_ID = re.compile("[0-9a-f]{32}")
_touched: dict[str, float] = {}


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
    return verify(("password", user), password, _row, origin)


def by_secret(name: str, secret: str, origin: Origin = NOWHERE) -> Identity | None:
    """The user of the application credential with this id, if the secret is right.

    Raises TooManyAttempts.
    """
    identity = verify(("secret", name), secret, _credential, origin)
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


def common_role(one: str, other: str) -> str | None:
    """The role that both include."""
    return next(
        (it for it in (one, other) if {it} <= implied(one) & implied(other)), None
    )


def database_time(moment: datetime) -> Any:
    """A time as a parameter of written-out SQL."""
    return connection.ops.adapt_datetimefield_value(moment)


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
    role = found and common_role(found[3], found[4])
    if not role:
        return None
    encoded, user, project = found[:3]
    actions = orjson.loads(found[5]) if found[5] else None
    limit = None if actions is None else frozenset(actions)
    return encoded, Identity(user, project, role, limit)


def _touch(name: str) -> None:
    """Note that an application credential was used, unless that was noted just now."""
    if name in _touched and age(_touched[name]) < LAST_USED_SECONDS:
        return
    _touched[name] = time.monotonic()
    now = timezone.now()
    ApplicationCredential.objects.filter(pk=name).update(last_used_at=now)
