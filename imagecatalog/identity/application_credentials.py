"""Creation and deletion of application credentials, for the API, the admin and commands."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from imagecatalog.identity import sign_in_log, verification
from imagecatalog.identity.models import ApplicationCredential, RoleAssignment
from imagecatalog.identity.origin import Origin
from images import access, attributes, errors

LIMIT = 100  # application credentials of one user
SHORTEST = 12  # characters of a secret that a user chose
UNUSED_IN_MODES = {
    "keystone": "With IMAGECATALOG_AUTH=keystone programs sign in with credentials of "
    "Keystone. Create one there: `openstack application credential create NAME`.",
    "none": "With IMAGECATALOG_AUTH=none there is no sign-in, so a credential is not needed. "
    "Send requests without one, or set IMAGECATALOG_AUTH=embedded.",
}


def why_unused() -> str:
    """Return the reason why the service ignores application credentials, as a sentence.

    It depends on IMAGECATALOG_AUTH. Empty if the service uses them.
    """
    return UNUSED_IN_MODES.get(settings.IMAGECATALOG_AUTH, "")


def check_useful() -> None:
    """Raise Conflict if IMAGECATALOG_AUTH makes the service ignore application credentials."""
    if reason := why_unused():
        raise errors.Conflict(reason)


def draft(
    user: Any,
    project_id: str,
    name: object,
    *,
    role: str | None = None,
    secret: object = None,
    description: object = "",
    expires_at: datetime | None = None,
    actions: Iterable[str] | None = None,
) -> tuple[ApplicationCredential, str]:
    """Create an application credential in memory; return it and its secret.

    Only a hash of the secret is stored, so it cannot be read later. A secret is generated unless
    ``secret`` is given. Without ``role`` the credential has the user's role in the project.
    ``actions`` are the names of the rules (`access.RULES`) that the credential allows; None means
    all.

    Raises Invalid for a malformed value, Forbidden if the user does not have the role, OverLimit if
    the user has too many credentials, and Conflict if IMAGECATALOG_AUTH makes the service ignore
    credentials.
    """
    check_useful()
    name = attributes.clean_text(name, "name")
    if not name:
        raise errors.Invalid("Invalid name: it must not be empty.")
    if expires_at is not None and expires_at <= timezone.now():
        raise errors.Invalid("Invalid expires_at: it must be in the future.")
    chosen = None if secret is None else _clean_secret(secret)
    plain = chosen or secrets.token_urlsafe(32)
    if user.application_credentials.count() >= LIMIT:
        raise errors.OverLimit(
            f"The user already has {LIMIT} application credentials, which is the limit. "
            "Delete one that is no longer needed."
        )
    row = ApplicationCredential(
        name=name,
        description=attributes.clean_text(description or "", "description"),
        user=user,
        project_id=project_id,
        role=_role(user, project_id, role),
        actions=_clean_actions(actions),
        secret=verification.hash_secret(plain, generated=chosen is None),
        expires_at=expires_at,
    )
    return row, plain


def store(row: ApplicationCredential, origin: Origin) -> None:
    """Store a credential that ``draft`` has returned, and record its creation in the sign-in log.

    ``origin`` is the client that creates the credential. Raises Conflict if the user already
    has a credential with this name.
    """
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise errors.Conflict(
            f"The user already has an application credential named '{row.name}'. "
            "Choose another name."
        ) from None
    _record("application_credential_create", row, origin)


def delete(row: ApplicationCredential, origin: Origin) -> None:
    """Delete a credential, which also revokes its tokens; record this in the sign-in log."""
    _record("application_credential_delete", row, origin)
    row.delete()


def _record(verb: str, row: ApplicationCredential, origin: Origin) -> None:
    user = row.user.get_username()
    sign_in_log.record(verb, user, origin, id=row.pk, name=row.name, role=row.role)


def _role(user: Any, project_id: str, wanted: str | None) -> str:
    assignment = RoleAssignment.objects.filter(user=user, project_id=project_id).first()
    if assignment is None:
        raise errors.Forbidden("The user has no role in this project.")
    if wanted is None:
        return assignment.role
    if wanted not in access.implied(assignment.role):
        raise errors.Forbidden(
            f"The user does not have the role '{wanted}' in this project."
        )
    return wanted


def _clean_secret(secret: object) -> str:
    text = attributes.clean_text(secret, "secret")
    if len(text) < SHORTEST:
        raise errors.Invalid(
            f"Invalid secret: it must have at least {SHORTEST} characters. "
            "Leave it out to have one generated."
        )
    return text


def _clean_actions(actions: Iterable[str] | None) -> list[str] | None:
    if actions is None:
        return None
    wanted = sorted(set(actions))
    unknown = [name for name in wanted if name not in access.RULES]
    if unknown or not wanted:
        raise errors.Invalid(
            f"There is no action {', '.join(unknown) or 'given'}. "
            f"The actions are: {', '.join(sorted(access.RULES))}."
        )
    return wanted
