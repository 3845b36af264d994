"""Who has which role in which project; whatever changes that leaves its record here."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from imagecatalog.identity import application_credentials, sign_in_log
from imagecatalog.identity.models import Project, Role, RoleAssignment
from imagecatalog.identity.origin import Origin


def give(
    user: Any, project: Project, role: str | None, origin: Origin
) -> tuple[str, str | None]:
    """The role that the user has there from now on, and the one before it, if any.

    Without a role it stays what it was, or is member. In one transaction with the record of
    the change.
    """
    with transaction.atomic():
        row, is_new = RoleAssignment.objects.select_for_update().get_or_create(
            user=user, project=project, defaults={"role": role or Role.MEMBER}
        )
        before = None if is_new else row.role
        row.role = role or row.role
        if before and row.role != before:
            row.save(update_fields=["role"])
        if row.role != before:
            given(row, origin)
    return row.role, before


def take(row: RoleAssignment, origin: Origin) -> None:
    """Tokens and credentials of the user for that project end with it."""
    with transaction.atomic():
        row.delete()
        taken(row, origin)


def given(row: RoleAssignment, origin: Origin) -> None:
    """Record that the row was written; for a form, which writes its rows itself."""
    name = row.user.get_username()
    sign_in_log.record("role_give", name, origin, project=row.project_id, role=row.role)


def taken(row: RoleAssignment, origin: Origin) -> None:
    """Record that the row was deleted; for a form, which deletes its rows itself.

    Ends the credentials that rested on it: with another role, later, they must not come back.
    """
    name = row.user.get_username()
    sign_in_log.record("role_remove", name, origin, project=row.project_id)
    for it in row.user.application_credentials.filter(project=row.project_id):
        application_credentials.delete(it, origin)
