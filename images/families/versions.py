"""Add images to families as versions, withdraw versions, and remove them."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from itertools import chain, count

from django.conf import settings

from images import access, errors
from images.access import Caller
from images.attributes import Changes, check_limit
from images.families import values
from images.families.changes import (
    Outcome,
    apply_version,
    get_version,
    lock_images,
    locked,
    merged,
    record,
    release,
    save,
)
from images.families.promotion import make_current
from images.models import Family, FamilyVersion, Image
from images.models.family import natural_key
from images.transitions import locked as locked_image

BUILD_DATE = "image_build_date"  # a property of images

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?=$|[ T])", re.ASCII)


def add(
    caller: Caller,
    ref: str,
    image_id: str,
    reason: str = "",
    *,
    label: str | None = None,
    build_date: date | None = None,
    promote: bool = False,
    expected: Collection[int] | None = None,
) -> Outcome:
    """Add an image to a family as a new version, by default labelled with its build date.

    The image gets the values of the family's template. ``promote`` makes it current in the same
    transaction. If ``expected`` is not None, ``family.version`` (its ETag) must be in it. Raises
    Invalid for a malformed label, NotFound, Forbidden, Changed, OverLimit if the family has too
    many versions, and Conflict if the image is in a family, deleted or of another architecture, if
    the label is taken, or if the image cannot be promoted.
    """
    if label is not None:
        values.clean_label(label)
    actions = ("manage_family", *(["promote_family"] if promote else []))
    with locked(caller, ref, *actions, expected=expected) as family:
        row = access.get_image(caller, image_id, "modify_image", deleted=True)
        if row["deleted_at"] is not None:
            raise errors.Conflict(
                f"Image {image_id} is deleted. Restore it first, or add another image."
            )
        with locked_image(image_id, caller) as image:
            version = _new(family, image, label, build_date)
            template = _template(family, image)
            images = apply_version(family, version, image, caller, reason, template)
        save(family)
        record(family, "add", caller, reason, after=version)
        outcome = Outcome(family, version, images)
        if promote:
            promoted = make_current(family, version, caller, "promote", reason)
            outcome = promoted._replace(images=merged([*images, *promoted.images]))
        return outcome


def change(
    caller: Caller,
    ref: str,
    label: str,
    reason: str = "",
    *,
    withdrawn: bool | None = None,
    note: str | None = None,
    expected: Collection[int] | None = None,
) -> Outcome:
    """Withdraw a version of a family or end its withdrawal, or change its note.

    None as ``withdrawn`` or ``note`` changes nothing. If ``expected`` is not None,
    ``family.version`` (its ETag) must be in it. Raises NotFound, Forbidden, Changed, and Conflict
    if the current version is to be withdrawn.
    """
    with locked(caller, ref, "manage_family", expected=expected) as family:
        version = get_version(family, label)
        if withdrawn:
            _check_not_current(family, version, "withdrawn")
        wanted = {"withdrawn": withdrawn, "note": note}
        changed = {
            name: [getattr(version, name), value]
            for name, value in wanted.items()
            if value is not None and value != getattr(version, name)
        }
        if changed:
            for name, (_, value) in changed.items():
                setattr(version, name, value)
            version.save(update_fields=[*changed])
            save(family)
            is_withdrawal = withdrawn and "withdrawn" in changed
            verb = "withdraw" if is_withdrawal else "update"
            record(family, verb, caller, reason, after=version, detail=changed)
        return Outcome(family, version, [])


def remove(
    caller: Caller,
    ref: str,
    label: str,
    reason: str = "",
    *,
    expected: Collection[int] | None = None,
) -> Outcome:
    """Remove a version from its family. The image stays, with its name.

    If ``expected`` is not None, ``family.version`` (its ETag) must be in it. Raises NotFound,
    Forbidden, Changed, and Conflict if the version is current.
    """
    with locked(caller, ref, "manage_family", expected=expected) as family:
        version = get_version(family, label, without_image=True)
        _check_not_current(family, version, "removed")
        changed = [
            change
            for image in lock_images([version], caller).values()
            for change in release(family, image, caller, reason)
        ]
        save(family)
        record(family, "remove", caller, reason, before=version)
        outcome = Outcome(family, version, changed)
        FamilyVersion.objects.filter(pk=version.pk).delete()
        return outcome


def _new(
    family: Family, image: Image, label: str | None, build_date: date | None
) -> FamilyVersion:
    """Save a locked image as a version of a locked family, and return the version."""
    taken = FamilyVersion.objects.filter(image=image.pk).select_related("family")
    if other := taken.first():
        raise errors.Conflict(
            f"Image {image.pk} is version {other.label} of family {other.family.name}. "
            "An image belongs to at most one family: remove it from that one first."
        )
    number = family.versions.count()
    limit = settings.IMAGECATALOG_FAMILY_VERSION_QUOTA
    check_limit("versions", number + 1, limit, "family")
    architecture = image.properties.get("architecture", family.architecture)
    if architecture != family.architecture:
        raise errors.Conflict(
            f"The image is for {architecture}, family {family.name} for "
            f"{family.architecture}. Add it to a family of its architecture."
        )
    built = build_date or _build_date(image)
    if label is None:
        label = _free_label(family, built)
    elif family.versions.filter(label=label).exists():
        raise errors.Conflict(
            f"Family {family.name} has a version {label}. Choose another label."
        )
    version = FamilyVersion(
        family=family,
        image=image,
        label=label,
        label_key=natural_key(label),
        build_date=built,
    )
    version.save(force_insert=True)
    return version


def _build_date(image: Image) -> date:
    stated = _DATE.match(image.properties.get(BUILD_DATE, ""))
    try:
        return values.clean_date(stated and stated[0])
    except errors.Invalid:
        return image.created_at.date()


def _free_label(family: Family, built: date) -> str:
    label = f"{built:%Y%m%d}"
    taken = set(
        family.versions.filter(label__startswith=label).values_list("label", flat=True)
    )
    labels = chain([label], (f"{label}.{number}" for number in count(1)))
    return next(it for it in labels if it not in taken)


def _template(family: Family, image: Image) -> Changes:
    """Return the changes that a family's template makes in an image when the image is added.

    The values and tags of the template are added to those of the image. If both have a value, the
    image keeps its own, unless the template has ``template_wins``.
    """
    template = family.template
    wins = template.get("template_wins", False)
    fields = {
        name: template[name]
        for name in ("min_disk", "min_ram")
        if name in template and (wins or not getattr(image, name))
    }
    if tags := template.get("tags"):
        fields["tags"] = sorted({*image.tags, *tags})
    properties = {
        name: value
        for name, value in template.get("properties", {}).items()
        if wins or name not in image.properties
    }
    return Changes(fields, properties)


def _check_not_current(family: Family, version: FamilyVersion, what: str) -> None:
    if family.current_id == version.pk:
        raise errors.Conflict(
            f"Version {version.label} is current in family {family.name} and cannot be "
            f"{what}. Promote another version first."
        )
