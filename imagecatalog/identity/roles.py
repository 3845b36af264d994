"""Who has which role in which project; whatever changes that leaves its record here."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from imagecatalog.identity import journal
from imagecatalog.identity.journal import Origin
from imagecatalog.identity.models import Project, RoleAssignment


def give(user: Any, project: Project, role: str, origin: Origin) -> None:
    """In place of the role that the user has there, if any. In one transaction with its record."""
    with transaction.atomic():
        row, _ = RoleAssignment.objects.update_or_create(
            user=user, project=project, defaults={"role": role}
        )
        given(row, origin)


def take(row: RoleAssignment, origin: Origin) -> None:
    """Tokens and credentials of the user for that project end with it."""
    with transaction.atomic():
        row.delete()
        taken(row, origin)


def given(row: RoleAssignment, origin: Origin) -> None:
    """Record that the row was written; for a form, which writes its rows itself."""
    name = row.user.get_username()
    journal.record("role_give", name, origin, project=row.project_id, role=row.role)


def taken(row: RoleAssignment, origin: Origin) -> None:
    """Record that the row was deleted; for a form, which deletes its rows itself."""
    name = row.user.get_username()
    journal.record("role_remove", name, origin, project=row.project_id)
