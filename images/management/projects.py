"""Look-ups of the project that a command works with, by name or id."""

from __future__ import annotations

from django.core.management.base import CommandError

from imagecatalog.identity.models import Project


def project_id(text: str) -> str:
    """Return the id of the project with this id, else with this name.

    Raises CommandError if there is none.
    """
    project = (
        Project.objects.filter(pk=text).first()
        or Project.objects.filter(name=text).first()
    )
    if project is None:
        raise CommandError(
            f"There is no project {text}. Create it first, or use --owner with the id of a "
            "project that is known elsewhere."
        )
    return project.pk


def only_project() -> str | None:
    """Return the id of the only project; None if there are none or several."""
    ids = list(Project.objects.values_list("pk", flat=True)[:2])
    return ids[0] if len(ids) == 1 else None
