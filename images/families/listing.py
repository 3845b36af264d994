"""Lists of families, of their versions and of their events, page by page. Read-only.

Each list returns its page and the marker with which the next page begins, None on the last page.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from django.db.models import Q

from images import access, errors
from images.access import Caller
from images.models import Family, FamilyEvent, FamilyVersion, Image, positions, rows

STATES: Final = ("candidate", "current", "old", "withdrawn")
# Columns that lists do not read: a page of them could have hundreds of mebibytes.
LONG: Final = ("description", "template")
LONG_OF_IMAGES: Final = ("image__properties", "image__tags")


def families(
    caller: Caller,
    *,
    name: str | None = None,
    scope: str | None = None,
    image: str | None = None,
    marker: str | None = None,
    limit: int = 100,
) -> tuple[list[Family], str | None]:
    """Return a page of the families that a caller sees, sorted by name, and the next marker.

    Families come with their current versions, but without descriptions and templates. ``name``,
    ``scope`` and ``image`` are filters; ``image`` is the id of an image in the family. ``marker``
    is the id of the last family of the previous page; the next marker is None on the last page. One
    query, two with a marker, more if the policy file hides all families of a page. Raises NotFound
    if the caller sees no family with the id ``marker``.
    """
    if not access.key_allows(caller, "get_family"):
        return [], None
    given = {"name": name, "scope": scope, "versions__image": image}
    seen = access.seen_families(caller).select_related("current").defer(*LONG)
    matching = seen.filter(**{it: value for it, value in given.items() if value})
    if marker is not None:
        matching = matching.filter(_after(access.get_family(caller, marker)))
    return positions.page(
        matching.order_by("name", "pk"),
        limit,
        lambda page: access.shown_families(caller, page),
        _after,
    )


def versions(
    caller: Caller,
    family: Family,
    *,
    state: str | None = None,
    marker: str | None = None,
    limit: int = 100,
) -> tuple[list[FamilyVersion], str | None]:
    """Return a page of a family's versions whose images a caller sees, and the next marker.

    The newest version is first. Each comes with its image, but without the image's properties and
    tags, unless the policy file overrides the rule ``get_image``. Versions whose images are deleted
    are returned only to the project of the family and to admins. ``state`` is a filter. ``marker``
    is the label of the last version of the previous page; the next marker is None on the last page.
    One query, two with a marker. Raises Invalid for an unknown state or marker.
    """
    matching = family.versions.select_related("image").newest_first()
    if state is not None:
        matching = matching.filter(_in_state(family, state))
    if marker is not None:
        last = family.versions.filter(label=marker).first()
        if last is None:
            raise errors.Invalid(
                f"Marker {marker[:64]} is no version of the family. Use the label of the last "
                "version of the previous page."
            )
        matching = matching.before(last)
    seen = Image.objects.filter(access.seen_by(caller))
    if not access.owns(caller, family.owner):
        seen = seen.existing()
    matching = matching.filter(image__in=seen)
    has_own_rule = "get_image" in access.overrides()
    if not has_own_rule:
        matching = matching.defer(*LONG_OF_IMAGES)
    page, following = positions.first(matching, limit, attrgetter("label"))
    return _visible(caller, page) if has_own_rule else page, following


def events(
    family: Family, *, marker: int | None = None, limit: int = 100
) -> tuple[list[FamilyEvent], str | None]:
    """Return a page of a family's events, oldest first. One query.

    ``marker`` is the id of the last event of the previous page.
    """
    matching = FamilyEvent.objects.filter(family=family.pk).order_by("pk")
    if marker is not None:
        matching = matching.filter(pk__gt=marker)
    return positions.first(matching, limit)


def _after(family: Family) -> Q:
    return positions.after("name", False, family.name, "pk", family.pk)


def _visible(caller: Caller, page: list[FamilyVersion]) -> list[FamilyVersion]:
    """Return those versions of a page whose images the rule get_image allows the caller to see."""
    images = access.visible(caller, [rows.row_of(it.image) for it in page])
    ids = {image["id"] for image in images}
    return [it for it in page if it.image_id in ids]


def _in_state(family: Family, state: str) -> Q:
    current = Q(pk=family.current_id)
    states = {
        "current": current,
        "withdrawn": Q(withdrawn=True) & ~current,
        "old": Q(promoted_at__isnull=False, withdrawn=False) & ~current,
        "candidate": Q(promoted_at=None, withdrawn=False) & ~current,
    }
    if state not in states:
        raise errors.Invalid(f"The state must be one of: {', '.join(STATES)}.")
    return states[state]
