"""Check, apply and record changes of a locked image's attributes and properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from images import (
    attributes,
    custom_properties,
    errors,
    property_schema,
    signatures,
)
from images.access import Caller, check_property_changes
from images.attributes import Changes
from images.events import record
from images.lifecycle import event_details, family_members
from images.models import Image, Status, Transfer, TransferKind
from images.transitions import save

FORMATS = ("disk_format", "container_format")
WITHOUT_DATA = (Status.QUEUED, Status.KILLED)


def clean_changes(changes: Changes) -> Changes:
    """Return the requested changes of an image with values in the form that is stored.

    Writes nothing. Raises Invalid for a bad value, and Forbidden for a reserved name.
    """
    properties = custom_properties.clean_properties(changes.properties)
    property_schema.check(properties)
    return Changes(
        attributes.clean_fields(changes.fields),
        properties,
        changes.removed,
        attributes.clean_size(changes.size),
        changes.checksum,
    )


def change(
    image: Image,
    changes: Changes,
    actor: Caller,
    *,
    configured: bool = False,
    family: str = "",
    reason: str = "",
) -> None:
    """Apply changes that ``clean_changes`` has checked to a locked image: save it, record an event.

    Properties that the changes do not name stay as they are. With ``configured`` the operator's
    configuration sets the properties, so the permissions of the actor do not matter. ``family`` is
    the name of the image's family if the family makes the changes. Raises Forbidden for a protected
    property, for values that only the image's family can change, and, once the image has data, for
    a format, a signature or another size or checksum (a format can still be set while staged data
    waits for its import). Raises OverLimit for too many tags or properties, or too long properties.
    """
    if not configured:
        check_property_changes(
            actor, image.properties, changes.properties, changes.removed
        )
    if not family:
        family_members.check_changes(image, changes)
    fields, detail = apply_checked(image, changes)
    if fields or changes.properties or changes.removed:
        save(image, *fields, "properties")
        detail = event_details.shortened(detail)
        record(
            image,
            "update",
            actor,
            before=image.status,
            reason=reason,
            detail=detail | ({"family": family} if family else {}),
        )


def apply_checked(
    image: Image, changes: Changes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check changes against the state of an image, and make them in memory; nothing is saved.

    Returns the changed attributes (name -> value), and the values before and after the changes of
    attributes and properties (name -> [before, after]). Raises Forbidden and OverLimit as
    ``change`` does, but checks neither the permissions of the actor nor which values only a family
    can change.
    """
    fields = {**changes.fields, **_announced(image, changes)}
    _check_formats(image, fields)
    _check_tags(image, fields)
    before = {name: getattr(image, name) for name in fields}
    for name, value in fields.items():
        setattr(image, name, value)
    detail = {
        name: [before[name], fields[name]]
        for name in fields
        if before[name] != fields[name]
    }
    return fields, detail | _merge_properties(
        image, changes.properties, changes.removed
    )


def preview(image: Image, changes: Changes) -> None:
    """Set the changed values on an image in memory only, so that checks can run before the save."""
    for name, value in changes.fields.items():
        setattr(image, name, value)
    image.properties = _merged(image.properties, changes.properties, changes.removed)


def _announced(image: Image, changes: Changes) -> dict[str, Any]:
    """Return ``{"size": bytes}`` if a client states the size of data that it will send later.

    Returns an empty dict if the image has or receives data, or no size is stated. Raises
    Forbidden if the image has or receives data, and the stated size or checksum is not the
    image's.
    """
    if image.status == Status.QUEUED and not image.pinned:
        return {} if changes.size is None else {"size": changes.size}
    claimed = {"size": changes.size, "checksum": changes.checksum}
    for name, value in claimed.items():
        if value not in (None, getattr(image, name)):
            raise errors.Forbidden(
                f"Forbidden to modify '{name}' of {image.status} image."
            )
    return {}


def _check_formats(image: Image, fields: Mapping[str, Any]) -> None:
    named = [name for name in FORMATS if name in fields]
    if not named or image.status == Status.QUEUED:
        return
    if not _awaits_inspection(image):
        raise errors.Forbidden(
            f"Attribute {named[0]} can be only replaced for a queued image."
        )
    if _import_is_running(image):
        raise errors.Forbidden(
            f"Attribute {named[0]} cannot be replaced while the data is "
            "imported. Try again when the import has ended."
        )


def _check_tags(image: Image, fields: Mapping[str, Any]) -> None:
    wanted = set(fields.get("tags", ()))
    if wanted - set(image.tags):  # removing tags is always allowed
        attributes.check_tag_count(len(wanted))


def _awaits_inspection(image: Image) -> bool:
    """Return whether the data of the image is not inspected yet: it is importing, or has staged data.

    The import inspects the data.
    """
    if image.status == Status.IMPORTING:
        return True
    staged = Transfer.objects.staging().filter(image=image).exclude(import_method="")
    return image.status == Status.UPLOADING and staged.exists()


def _import_is_running(image: Image) -> bool:
    # An import inspects the data with the formats that were set when it began. A resumable
    # upload whose import has failed waits for its next import.
    owning = Transfer.objects.owning().filter(image=image)
    return owning.exclude(kind=TransferKind.STAGE).exists()


def _merged(
    before: dict[str, str], properties: dict[str, str], removed: set[str]
) -> dict[str, str]:
    kept = {name: value for name, value in before.items() if name not in removed}
    return kept | properties


def _check_signature(image: Image, before: Mapping[str, str]) -> None:
    """Raise Forbidden if the properties of the signature have changed and the image has data.

    ``before`` are the properties before the change. They can change only while the image has no
    data and receives none.
    """
    if signatures.described(before) == signatures.described(image.properties):
        return
    if image.status in WITHOUT_DATA and not image.pinned:
        return
    raise errors.Forbidden(
        "The properties img_signature* can be changed only before the image has data, "
        "because its data is verified with them. Create a new image."
    )


def _merge_properties(
    image: Image, properties: dict[str, str], removed: set[str]
) -> dict[str, Any]:
    before = image.properties
    image.properties = _merged(before, properties, removed)
    _check_signature(image, before)
    if properties.keys() - before.keys():  # removing properties is always allowed
        custom_properties.check_property_count(
            custom_properties.counted(image.properties)
        )
    custom_properties.check_properties_length(image.properties, before)
    names = {*properties, *removed}
    return {
        name: [before.get(name), image.properties.get(name)]
        for name in sorted(names)
        if before.get(name) != image.properties.get(name)
    }
