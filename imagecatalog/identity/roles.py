"""Assignment and removal of roles in projects, recorded in the sign-in log."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from imagecatalog.identity import application_credentials, sign_in_log
from imagecatalog.identity.models import Project, Role, RoleAssignment
from imagecatalog.identity.origin import Origin


def give(
    user: Any, project: Project, role: str | None, origin: Origin
) -> tuple[str, str | None]:
    """Assign a role in a project to a user; return the new role and the previous one, if any.

    If ``role`` is None, a user who has a role in the project keeps it, and any other user gets the
    role ``member``. The change and its record in the sign-in log are written in one transaction.
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
            record_role_given(row, origin)
    return row.role, before


def take(row: RoleAssignment, origin: Origin) -> None:
    """Delete a role assignment, and the user's application credentials for the project.

    The user's tokens for the project become invalid. Records the removal in the sign-in log.
    """
    with transaction.atomic():
        row.delete()
        record_role_removed(row, origin)


def record_role_given(row: RoleAssignment, origin: Origin) -> None:
    """Record in the sign-in log that a role was assigned.

    The forms of the admin call this, because they save the assignment themselves.
    """
    name = row.user.get_username()
    sign_in_log.record("role_give", name, origin, project=row.project_id, role=row.role)


def record_role_removed(row: RoleAssignment, origin: Origin) -> None:
    """Record in the sign-in log that a role was removed, and delete the user's credentials.

    They are the user's application credentials for the project, which a later assignment would make
    valid again. The forms of the admin call this, because they delete the assignment themselves.
    """
    name = row.user.get_username()
    sign_in_log.record("role_remove", name, origin, project=row.project_id)
    for credential in row.user.application_credentials.filter(project=row.project_id):
        application_credentials.delete(credential, origin)
