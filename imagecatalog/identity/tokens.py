"""Tokens, which contain a user, a project and an expiry time and are signed by the service.

Tokens are not stored in the database. One query finds out whether a token became invalid before its
expiry: its user was disabled or changed the password, its application credential was deleted, all
tokens of the user were revoked, or this token was revoked. The query runs at most once a second for
each token and process.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from django.conf import settings
from django.core import signing
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from imagecatalog.identity.credentials import (
    ASSIGNMENTS,
    CREDENTIALS,
    USERS,
    common_role,
    database_time,
)
from imagecatalog.identity.models import RevokedToken, TokenGeneration
from imagecatalog.identity.verification import (
    FRESH_SECONDS,
    REMEMBERED_AT_MOST,
    Identity,
)

PREFIX = "ict1."
SALT = "imagecatalog.identity.token"

_GENERATIONS = f'"{TokenGeneration._meta.db_table}"'
_REVOKED = f'"{RevokedToken._meta.db_table}"'
_SELECT = (
    'SELECT u."username", u."password", g."number", a."role",'
    ' c."role", c."secret", c."actions", c."project_id"'
    f" FROM {USERS} u"
    f' LEFT JOIN {_GENERATIONS} g ON g."user_id" = u."id"'
    f' LEFT JOIN {ASSIGNMENTS} a ON a."user_id" = u."id" AND a."project_id" = %s'
    f' LEFT JOIN {CREDENTIALS} c ON c."id" = %s AND c."user_id" = u."id"'
    ' AND (c."expires_at" IS NULL OR c."expires_at" > %s)'
    ' WHERE u."id" = %s AND u."is_active" AND NOT EXISTS'
    f' (SELECT 1 FROM {_REVOKED} r WHERE r."audit_id" IN (%s, %s))'
)


@dataclass(frozen=True)
class Claims:
    """The content of a token. Times are seconds since 1970."""

    user_id: int
    project: str | None  # id; None: unscoped
    methods: tuple[str, ...]
    issued_at: int
    expires_at: int
    audit_ids: tuple[str, ...]  # its own, then that of the first token it derives from
    stamp: str  # see `_stamps`; made from the values at the time of issue
    credential: str | None = None  # id of an application credential


@dataclass(frozen=True)
class Valid:
    """A valid token: its claims, and the user, project and role that it stands for now.

    A token without a project has no role.
    """

    claims: Claims
    identity: Identity


_valid: dict[bytes, tuple[Valid, float]] = {}


def issue(
    user_id: int,
    project: str | None,
    methods: Iterable[str],
    *,
    credential: str | None = None,
    parent: Claims | None = None,
) -> tuple[str, Valid] | None:
    """Issue a token; return its text and content, or None if the user has no role in the project.

    If ``project`` is None, the token is for no project. ``methods`` are the names of the sign-in
    methods, ``credential`` is the id of the application credential that has signed in. A token that
    is issued in exchange for the token ``parent`` expires at the same time as that, and becomes
    invalid when the first token of the chain is revoked. Nothing is written to the database.
    """
    now = int(time.time())
    audit_ids = (uuid4().hex, *(parent.audit_ids[-1:] if parent else ()))
    claims = Claims(
        user_id=user_id,
        project=project,
        methods=tuple(methods),
        issued_at=now,
        expires_at=parent.expires_at
        if parent
        else now + settings.IMAGECATALOG_TOKEN_SECONDS,
        audit_ids=audit_ids,
        stamp="",
        credential=credential,
    )
    current = _look_up(claims)
    if current is None:
        return None
    stamps, identity = current
    claims = replace(claims, stamp=stamps[0])
    return _signed(claims), Valid(claims, identity)


def read(text: str) -> Valid | None:
    """Return the content of a token, and the user, project and role that it stands for now.

    Returns None if the token is not valid.
    """
    if not text.startswith(PREFIX):
        return None
    digest = hashlib.sha256(text.encode()).digest()
    known, looked_up_at = _valid.get(digest, (None, 0.0))
    if known and time.time() >= known.claims.expires_at:
        return None
    if known and time.monotonic() - looked_up_at < FRESH_SECONDS:
        return known
    claims = known.claims if known else _claims(text)
    current = claims and _look_up(claims)
    if not claims or not current or claims.stamp not in current[0]:
        _valid.pop(digest, None)
        return None
    valid = Valid(claims, current[1])
    if len(_valid) >= REMEMBERED_AT_MOST:
        _valid.clear()
    _valid[digest] = (valid, time.monotonic())
    return valid


def revoke(claims: Claims) -> None:
    """Revoke a token.

    If it is the first token of a chain, the tokens that were issued in exchange for it are revoked,
    too.
    """
    end = datetime.fromtimestamp(claims.expires_at, UTC)
    RevokedToken.objects.filter(expires_at__lt=timezone.now()).delete()
    RevokedToken.objects.get_or_create(
        audit_id=claims.audit_ids[0], defaults={"expires_at": end}
    )


def revoke_all(user_id: int) -> None:
    """Revoke all of a user's tokens."""
    with transaction.atomic():
        row, _ = TokenGeneration.objects.get_or_create(user_id=user_id)
        TokenGeneration.objects.filter(pk=row.pk).update(number=F("number") + 1)
    forget()


def forget(**signal: object) -> None:
    """Clear the cache of valid tokens. Receives signals about changed users and credentials."""
    _valid.clear()


def _signed(claims: Claims) -> str:
    # The names have one letter, because clients send the token with every request.
    content = {
        "u": claims.user_id,
        "p": claims.project,
        "m": claims.methods,
        "i": claims.issued_at,
        "e": claims.expires_at,
        "a": claims.audit_ids,
        "s": claims.stamp,
        "c": claims.credential,
    }
    return PREFIX + _signer().sign_object(content)


def _claims(text: str) -> Claims | None:
    try:
        content: dict[str, Any] = _signer().unsign_object(text.removeprefix(PREFIX))
    except signing.BadSignature:
        return None
    if time.time() >= content["e"]:
        return None
    return Claims(
        user_id=content["u"],
        project=content["p"],
        methods=tuple(content["m"]),
        issued_at=content["i"],
        expires_at=content["e"],
        audit_ids=tuple(content["a"]),
        stamp=content["s"],
        credential=content["c"],
    )


def _signer() -> signing.Signer:
    return signing.Signer(sep=".", salt=SALT)


def _look_up(claims: Claims) -> tuple[list[str], Identity] | None:
    now = database_time(timezone.now())
    params = [claims.project, claims.credential, now, claims.user_id]
    with connection.cursor() as cursor:
        cursor.execute(_SELECT, [*params, claims.audit_ids[0], claims.audit_ids[-1]])
        row = cursor.fetchone()
    if row is None:
        return None
    user, password, generation, role, at_most, secret, actions, project = row
    if claims.credential is not None:
        if secret is None or project != claims.project:
            return None
        role = role and common_role(role, at_most)
    if claims.project is not None and not role:
        return None
    limit = frozenset(orjson.loads(actions)) if actions else None
    identity = Identity(user, claims.project, role or "", limit)
    return _stamps(secret or password, generation or 0), identity


def _stamps(encoded: str, generation: int) -> list[str]:
    """Return a keyed digest of ``generation`` and ``encoded`` for each secret key of the service.

    ``generation`` is the user's number in TokenGeneration, ``encoded`` the hash of a password or of
    a credential's secret. A token contains a digest, so it becomes invalid if one of them changes.
    The digest with the current secret key is the first.
    """
    message = f"{generation}:{encoded}".encode()
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    digests = [hmac.digest(key.encode(), message, hashlib.sha256) for key in keys]
    return [digest[:9].hex() for digest in digests]
