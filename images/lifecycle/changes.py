"""Changes of an image's attributes and properties, under its lock: checked, made and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from images import attributes, errors, property_schema
from images.access import Caller
from images.attributes import Changes
from images.models import Image, Status, Transfer, TransferKind, TransferStatus
from images.transitions import record, save

SHOWN = 255  # characters
FORMATS = ("disk_format", "container_format")


def cleaned(changes: Changes) -> Changes:
    """The same with values as they are stored. Raises Invalid, Forbidden, OverLimit."""
    properties = attributes.clean_properties(changes.properties)
    property_schema.check(properties)
    return Changes(
        attributes.clean_fields(changes.fields),
        properties,
        changes.removed,
        attributes.clean_size(changes.size),
        changes.checksum,
    )


def change(image: Image, changes: Changes, actor: Caller) -> None:
    """Make cleaned changes to a locked image.

    Properties that are not named stay as they are. Raises Forbidden (a format can be set, and
    a size announced, only before there is data, and while none is inspected), OverLimit.
    """
    fields = {**changes.fields, **_announced(image, changes)}
    _check_formats(image, fields)
    before = {name: getattr(image, name) for name in fields}
    for name, value in fields.items():
        setattr(image, name, value)
    detail = {
        name: [before[name], fields[name]]
        for name in fields
        if before[name] != fields[name]
    } | _merge_properties(image, changes.properties, changes.removed)
    if fields or changes.properties or changes.removed:
        save(image, *fields, "properties")
        record(image, "update", actor, before=image.status, detail=detail)


def _announced(image: Image, changes: Changes) -> dict[str, Any]:
    """What is said of data to come; of data that is there, it must be so."""
    if image.status == Status.QUEUED and not image.pinned:
        return {} if changes.size is None else {"size": changes.size}
    said = {"size": changes.size, "checksum": changes.checksum}
    for name, value in said.items():
        if value not in (None, getattr(image, name)):
            raise errors.Forbidden(
                f"Forbidden to modify '{name}' of {image.status} image."
            )
    return {}


def _check_formats(image: Image, fields: Mapping[str, Any]) -> None:
    named = [name for name in FORMATS if name in fields]
    if not named or image.status == Status.QUEUED:
        return
    if image.status != Status.IMPORTING:
        raise errors.Forbidden(
            f"Attribute {named[0]} can be only replaced for a queued image."
        )
    if _is_being_made(image):
        raise errors.Forbidden(
            f"Attribute {named[0]} cannot be replaced while the image is being made of "
            "the uploaded data."
        )


def _is_being_made(image: Image) -> bool:
    # The data is inspected as what the formats said when the attempt began.
    return Transfer.objects.filter(
        image=image, kind=TransferKind.IMPORT, status=TransferStatus.RUNNING
    ).exists()


def _shown(value: str | None) -> str | None:
    # The history tells what was changed; it is no archive of long texts.
    return value if value is None or len(value) <= SHOWN else f"{value[:SHOWN]}…"


def _merge_properties(
    image: Image, properties: dict[str, str], removed: set[str]
) -> dict[str, Any]:
    before = image.properties
    kept = {name: value for name, value in before.items() if name not in removed}
    image.properties = kept | properties
    if properties.keys() - before.keys():  # fewer is always allowed
        attributes.check_property_count(attributes.counted(image.properties))
    if properties:
        attributes.check_properties_length(image.properties)
    names = {*properties, *removed}
    return {
        name: [_shown(before.get(name)), _shown(image.properties.get(name))]
        for name in sorted(names)
        if before.get(name) != image.properties.get(name)
    }
