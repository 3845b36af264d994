"""Look-ups of the projects that can own images and families."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from images.models import Family, Image, QuotaLimit

Find = Callable[[str], str | None]

_finders: list[Find] = []


def provide_projects(find: Find) -> None:
    """Register a function with which ``owner_id`` looks up projects.

    ``find`` gets an id or a name, and returns the id of the project that has it, or None.
    """
    _finders.append(find)


def owner_id(text: str) -> str | None:
    """Return the id of a project that has limits or can own images and families, given its id or name.

    An id that is unknown here is returned as it is if images, families or limits have it, or if
    IMAGECATALOG_AUTH is not ``embedded``; Keystone is not asked. Returns None otherwise.
    """
    for find in _finders:
        if found := find(text):
            return found
    is_known = settings.IMAGECATALOG_AUTH != "embedded" or is_project_in_use(text)
    return text if is_known else None


def is_project_in_use(project: str) -> bool:
    """Return whether an image, a family or a limit has the id of this project."""
    return (
        Image.objects.filter(owner=project).exists()
        or Family.objects.filter(owner=project).exists()
        or QuotaLimit.objects.filter(project=project).exists()
    )
