"""What an image is called and how it is described: create, update, tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from images import attributes, crash, errors
from images.access import Caller
from images.attributes import Changes
from images.lifecycle.edges import locked, record, save
from images.lifecycle.location_changes import LocationChange, prepare
from images.lifecycle.locations import apply
from images.models import Image, Status

SHOWN = 255  # characters
FORMATS = ("disk_format", "container_format")


def create(
    fields: Mapping[str, Any],
    properties: Mapping[str, Any],
    tags: Sequence[str],
    by: Caller,
) -> Image:
    """Reserve an id. The image is ``queued``: it has no data yet.

    Raises Invalid, OverLimit, and Conflict for an id that is taken, also by a deleted image.
    """
    image = Image(
        **attributes.clean_fields(fields),
        properties=attributes.clean_properties(properties),
        tags=attributes.clean_tags(tags),
    )
    attributes.check_properties_length(image.properties)
    image.updated_at = image.created_at
    try:
        with transaction.atomic():
            image.save(force_insert=True)
            record(image, "create", by, before="")
    except IntegrityError:
        raise errors.Conflict(f"Image ID {image.pk} already exists!") from None
    return image


def update(
    image_id: str,
    changes: Changes,
    by: Caller,
    location_changes: Sequence[LocationChange] = (),
) -> None:
    """Change attributes, properties and locations: all of it or nothing.

    Properties that are not named stay as they are, also when somebody else changes them
    meanwhile. Raises Invalid, Forbidden (a format can be set only before there is data),
    Conflict, OverLimit, NotFound.
    """
    fields = attributes.clean_fields(changes.fields)
    properties = attributes.clean_properties(changes.properties)
    prepared = prepare(image_id, location_changes)
    with locked(image_id) as image:
        _check_formats(image, fields)
        before = {name: getattr(image, name) for name in fields}
        for name, value in fields.items():
            setattr(image, name, value)
        detail = {
            name: [before[name], fields[name]]
            for name in fields
            if before[name] != fields[name]
        } | _merge_properties(image, properties, changes.removed)
        if fields or properties or changes.removed:
            save(image, *fields, "properties")
            record(image, "update", by, before=image.status, detail=detail)
        for change in prepared:
            apply(image, change, by)
    if prepared:
        crash.point("locations.changed")


def tag(image_id: str, name: str, by: Caller) -> None:
    """Put a tag on the image; again is no error. Raises Invalid, OverLimit, NotFound."""
    (name,) = attributes.clean_tags([name])
    with locked(image_id) as image:
        if name in image.tags:
            return
        _set_tags(image, sorted([*image.tags, name]), by)


def untag(image_id: str, name: str, by: Caller) -> None:
    """Take a tag off the image. Raises NotFound when it does not have it."""
    with locked(image_id) as image:
        if name not in image.tags:
            raise errors.NotFound("The image does not have this tag.")
        _set_tags(image, [other for other in image.tags if other != name], by)


def _set_tags(image: Image, tags: list[str], by: Caller) -> None:
    attributes.check_tag_count(len(tags))
    before, image.tags = image.tags, tags
    save(image, "tags")
    record(
        image, "update", by, before=image.status, detail={"tags": [before, image.tags]}
    )


def _check_formats(image: Image, fields: Mapping[str, Any]) -> None:
    if image.status in (Status.QUEUED, Status.IMPORTING):
        return
    for name in FORMATS:
        if name in fields:
            raise errors.Forbidden(
                f"Attribute {name} can be only replaced for a queued image."
            )


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
