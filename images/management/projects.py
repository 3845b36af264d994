"""Look-ups of projects, by id or name, for commands."""

from __future__ import annotations

from django.core.management.base import CommandError

from imagecatalog.identity.models import Project
from imagecatalog.identity.projects import find_project
from images import access


def project_id(text: str) -> str:
    """Return the id of the project whose id or name is ``text``. An id takes precedence.

    Raises CommandError if there is no such project.
    """
    project = find_project(text)
    if project is None:
        raise CommandError(
            f"There is no project {text}. Create it first, or use --owner with the id of a "
            "project that is known elsewhere."
        )
    return project.pk


def owner_id(text: str) -> str:
    """Return the id of a project that has limits or can own images and families, given its id or name.

    An id that is unknown here is returned as it is if images, families or limits have it, or if
    IMAGECATALOG_AUTH is not ``embedded``; Keystone is not asked. Raises CommandError otherwise.
    """
    owner = access.owner_id(text)
    if owner is None:
        raise CommandError(
            f"There is no project {text}. Use the id or the name of a project; `user_list` "
            "shows the projects of all users."
        )
    return owner


def only_project() -> str | None:
    """Return the id of the project if there is exactly one; None if there are none or several."""
    ids = list(Project.objects.values_list("pk", flat=True)[:2])
    return ids[0] if len(ids) == 1 else None
