"""Create, change and delete families."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from images import access, attributes, errors
from images.access import Caller
from images.families import values
from images.families.changes import (
    ImageChange,
    Outcome,
    apply_version,
    lock_images,
    locked,
    record,
    release,
    save,
)
from images.lifecycle import event_details
from images.models import Family, FamilyScope, RetentionPolicy
from images.models.publication import note_change
from images.transfers import quota

# The values of a family that determine names and properties of its images.
OF_IMAGES = {"name", "image_name", "naming", "name_separator", "hide_old"}


def create(caller: Caller, document: object, reason: str = "") -> Family:
    """Create a family from a client's document and return it.

    Its owner is the caller's project unless an admin names another one. Raises Invalid for bad
    values, Forbidden if the caller is not allowed to create it, OverLimit if the project has too
    many families, and Conflict if the name is taken.
    """
    given = values.clean_new(document)
    given.setdefault("owner", caller.project)
    if given["owner"] is None:
        raise errors.Invalid("A family needs an 'owner': the id of a project.")
    family = Family(**given)
    values.check_whole(family)
    access.check(caller, "manage_family", access.family_target(family))
    _check_exposure(caller, family, given)
    try:
        with transaction.atomic():
            _check_number(family.owner)
            if family.retention:
                _check_retention(caller, family)
            family.save(force_insert=True)
            if family.publish:
                note_change(family)
            record(family, "create", caller, reason)
    except IntegrityError:
        raise _taken(family) from None
    return family


def update(
    caller: Caller,
    ref: str,
    document: object,
    reason: str = "",
    *,
    expected: Collection[int] | None = None,
) -> Outcome:
    """Change a family by a JSON merge patch; rename, hide or show its images accordingly.

    If ``expected`` is not None, ``family.version`` (its ETag) must be in it. Raises NotFound,
    Invalid, Forbidden, Changed, and Conflict if the new name is taken.
    """
    given = values.clean_changes(document)
    with locked(caller, ref, "manage_family", expected=expected) as family:
        changed = {
            name: [getattr(family, name), value]
            for name, value in given.items()
            if getattr(family, name) != value
        }
        if not changed:
            return Outcome(family, None, [])
        aliases = _aliases(family)
        for name in changed:
            setattr(family, name, given[name])
        values.check_whole(family)
        _check_exposure(caller, family, changed)
        _check_aliases(caller, family, aliases)
        if "retention" in changed:
            _check_retention(caller, family)
        try:
            with transaction.atomic():
                save(family, *changed)
        except IntegrityError:
            raise _taken(family) from None
        detail = event_details.shortened(changed)
        record(family, "update", caller, reason, detail=detail)
        images = (
            _apply_to_all(family, caller, reason) if OF_IMAGES & changed.keys() else []
        )
        return Outcome(family, None, images)


def delete(
    caller: Caller,
    ref: str,
    reason: str = "",
    *,
    expected: Collection[int] | None = None,
) -> Outcome:
    """Delete a family. Its images stay, with their names; they lose the family's properties.

    If ``expected`` is not None, ``family.version`` (its ETag) must be in it. Raises NotFound,
    Forbidden, Changed.
    """
    with locked(caller, ref, "manage_family", expected=expected) as family:
        images = lock_images(family.versions.all(), caller)
        changed = [
            change
            for image in images.values()
            for change in release(family, image, caller, reason)
        ]
        record(family, "delete", caller, reason)
        outcome = Outcome(family, None, changed)
        if family.publish:
            note_change(family)
        Family.objects.filter(pk=family.pk).delete()
        return outcome


def _apply_to_all(family: Family, caller: Caller, reason: str) -> list[ImageChange]:
    versions = {version.image_id: version for version in family.versions.all()}
    images = lock_images(versions.values(), caller)
    return [
        change
        for image_id, image in images.items()
        for change in apply_version(family, versions[image_id], image, caller, reason)
    ]


def _check_exposure(caller: Caller, family: Family, named: Mapping[str, Any]) -> None:
    """Raise Forbidden unless the caller can set a family's new scope, visibility and publication.

    Only values in ``named`` are checked. No other project can use the name of a public family, so a
    new name needs the same permission as the public scope.
    """
    target = access.family_target(family)
    publishes = family.scope == FamilyScope.PUBLIC and {"scope", "name"} & named.keys()
    if publishes:
        access.check_visibility(caller, target, "public")
    if "visibility" in named:
        access.check_visibility(caller, target, family.visibility)
    if family.publish and "publish" in named:
        access.check(caller, "publish_family", target)


def _check_retention(caller: Caller, family: Family) -> None:
    """Raise Forbidden unless the caller can manage retention, and Invalid for an unknown policy."""
    access.check(caller, "manage_retention", {"owner": None})
    # Locked, so that the policy cannot be deleted before the family is saved.
    policies = RetentionPolicy.objects.select_for_update()
    name = family.retention
    if name and not policies.filter(name=name).exists():
        raise errors.Invalid(f"Invalid retention: there is no policy {name}.")


def _aliases(family: Family) -> set[str]:
    return {*family.template.get("aliases", ())}


def _check_aliases(caller: Caller, family: Family, before: set[str]) -> None:
    """Raise Forbidden if a family gets a new alias that the caller is not allowed to publish.

    ``before`` are the aliases before the change. Only published families of the scope ``public``
    are checked: in the public tree, an alias belongs to one family of all projects.
    """
    is_shown = family.publish and family.scope == FamilyScope.PUBLIC
    if is_shown and _aliases(family) - before:
        access.check(caller, "publish_family", access.family_target(family))


def _check_number(owner: str) -> None:
    """Raise OverLimit if a project cannot have one family more. Locks the project's quotas."""
    quota.lock_project(owner)
    number = Family.objects.filter(owner=owner).count()
    limit = settings.IMAGECATALOG_PROJECT_FAMILY_QUOTA
    attributes.check_limit("families", number + 1, limit, "project")


def _taken(family: Family) -> errors.Conflict:
    other = "another family"
    if family.scope == FamilyScope.PUBLIC:
        other = "a public family, or by another one"
    return errors.Conflict(
        f"The name {family.name} is taken by {other} of project {family.owner}. Choose another "
        "name."
    )
