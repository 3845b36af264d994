"""Protection of the images of families against changes that only their family can make.

The current image of a family is also protected against operations such as a deletion.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cache

from django.db.models import Q

from images import errors
from images.attributes import FAMILY_PROPERTIES, Changes
from images.models import Family, FamilyVersion, Image
from images.models.statements import Placeholders, Query, Statement, compiled

MANAGED = ("name", "os_hidden")  # attributes that a family sets on its images


def check_new(properties: Mapping[str, str]) -> None:
    """Raise Forbidden if an image that is created has properties that only families set."""
    if touched := FAMILY_PROPERTIES & properties.keys():
        raise _read_only(touched)


def check_changes(image: Image, changes: Changes) -> None:
    """Raise Forbidden if changes of a locked image concern attributes that only its family sets.

    These are the name, ``os_hidden``, and the properties ``image_family`` and ``image_version``. An
    image that had these properties before there were families is in no family, and can change and
    lose them.
    """
    before = image.properties
    touched = {
        name
        for name in FAMILY_PROPERTIES
        if changes.properties.get(name, before.get(name)) != before.get(name)
        or (name in changes.removed and name in before)
    }
    managed = [
        name
        for name in MANAGED
        if changes.fields.get(name, getattr(image, name)) != getattr(image, name)
    ]
    if not touched and not managed:
        return
    version = version_of(image)
    if touched and (version or touched - before.keys()):
        raise _read_only(touched)
    if version:
        raise managed_by(version.family.name, managed[0])


def managed_by(family: str, attribute: str) -> errors.Forbidden:
    """Return the error for a change of an attribute that a family sets on its images."""
    return errors.Forbidden(
        f"The family {family} sets the {attribute} of its images. Change "
        "the family, or remove the image from it first."
    )


def check_not_current(image: Image, outcome: str, current: Query | None = None) -> None:
    """Raise Conflict if a locked image is the current image of a family.

    ``outcome`` says what is not possible, such as "cannot be deleted". ``current`` is the query of
    ``query_of_current_family``, if it was sent before.
    """
    for (name,) in (current or query_of_current_family(image.pk)).rows():
        raise errors.Conflict(
            f"Image {image.pk} is the current image of family {name} and {outcome}. "
            "Promote another version first."
        )


def query_of_current_family(image_id: str) -> Query:
    """Return the query for the name of the family whose current image is this one."""
    placeholders = Placeholders()
    return Query(placeholders.fill_in(_current(placeholders.add(image_id))))


@cache
def _current(image_id: str) -> Statement:
    # Compiled once with a placeholder, because every deletion of an image executes it.
    return compiled(Family.objects.filter(current__image=image_id).values_list("name"))


def current_in(image: Image) -> Family | None:
    """Return the family whose current image is this one; None if there is none. One query."""
    return Family.objects.filter(current__image=image.pk).first()


def current_images() -> Q:
    """Return the query condition for the images that are the current ones of families."""
    current = Family.objects.exclude(current=None)
    return Q(pk__in=current.values("current__image"))


def version_of(image: Image) -> FamilyVersion | None:
    """Return the version that an image is in a family; None if it is in none. One query.

    The image's properties do not tell: a process of the previous release can remove them.
    """
    versions = FamilyVersion.objects.filter(image=image.pk)
    return versions.select_related("family").first()


def _read_only(names: Set[str]) -> errors.Forbidden:
    name = min(names)
    return errors.Forbidden(
        f"Property '{name}' is read-only: families set it. Add the image to a family "
        "instead."
    )
