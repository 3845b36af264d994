"""Which project a command is to take, by its name or its id."""

from __future__ import annotations

from django.core.management.base import CommandError

from imagecatalog.identity.models import Project


def project_id(text: str) -> str:
    """Of the project with this id, else with this name. Raises CommandError."""
    project = (
        Project.objects.filter(pk=text).first()
        or Project.objects.filter(name=text).first()
    )
    if project is None:
        raise CommandError(
            f"There is no project {text}. Create it first, or give the id of a project "
            "that is known elsewhere with --owner."
        )
    return project.pk


def only_project() -> str | None:
    """Its id, when there is one and no other."""
    ids = list(Project.objects.values_list("pk", flat=True)[:2])
    return ids[0] if len(ids) == 1 else None
