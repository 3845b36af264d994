"""Look-ups of the projects of the embedded identity."""

from __future__ import annotations

from imagecatalog.identity.models import Project


def find_project(text: str) -> Project | None:
    """Return the project whose id or name is ``text``, or None. An id takes precedence."""
    by_id = Project.objects.filter(pk=text).first()
    return by_id or Project.objects.filter(name=text).first()


def find_id(text: str) -> str | None:
    """Return the id of the project whose id or name is ``text``, or None."""
    project = find_project(text)
    return None if project is None else project.pk
