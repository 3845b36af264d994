"""Create images, and update their attributes, properties and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError

from images import attributes, custom_properties, db, errors, property_schema
from images.access import Caller, check_new_properties
from images.attributes import Changes
from images.events import record
from images.failpoints import failpoint
from images.lifecycle import event_details, family_members, image_count
from images.lifecycle.changes import change, clean_changes
from images.lifecycle.checked_data import check_empty, check_ready
from images.lifecycle.fetch_requests import Source, probe_source, queue_fetch
from images.lifecycle.location_preparation import (
    AddLocation,
    LocationChange,
    prepare,
    prepare_first,
)
from images.lifecycle.locations import apply
from images.lifecycle.steps import Step, no_step
from images.models import Image, Status, writing
from images.transitions import locked, save


def create(
    fields: Mapping[str, Any],
    properties: Mapping[str, Any],
    tags: Sequence[str],
    actor: Caller,
    *,
    size: int | None = None,
    location: AddLocation | None = None,
    copied: Source | None = None,
) -> Image:
    """Create an image and return it. The image is ``queued``: it has no data yet.

    ``size`` (bytes) is the size that the client states for the data. An image of 0 bytes, or
    one with a ``location``, is ``active`` at once. ``copied`` is the source of a web download,
    which the background worker carries out later. Raises Invalid, Forbidden and OverLimit for
    values that are not accepted, Forbidden for protected properties and those of families, and
    Conflict if the id is taken, also by a deleted image, and regardless of upper and lower case.
    """
    check_new_properties(actor, properties)
    family_members.check_new(properties)
    is_empty = size == 0 and not (location or copied)
    copied = copied and probe_source(copied)
    custom_properties.check_property_count(len(properties))
    image = Image(
        **attributes.clean_fields(fields),
        properties=custom_properties.clean_properties(properties),
        tags=attributes.clean_tags(tags),
        size=attributes.clean_size(copied.size if copied else size),
        status=Status.ACTIVE if is_empty else Status.QUEUED,
    )
    custom_properties.check_properties_length(image.properties)
    property_schema.check_new(image.properties)
    image.updated_at = image.created_at
    if is_empty:
        check_empty(image)
    prepared = location and prepare_first(image, location)
    try:
        with db.pipelined():
            if "id" in fields:
                _check_unused(image.pk)
            image_count.check_adding(image.owner)
            writing.insert(image)
            record(image, "create", actor, before="")
            if prepared:
                apply(image, prepared, actor)
            if copied:
                check_ready(image)
                queue_fetch(image, copied, actor)
    except IntegrityError:
        raise _taken(image.pk) from None
    return image


def _check_unused(image_id: str) -> None:
    """Raise Conflict if an image has the same id in all lower or all upper case letters."""
    # Ids that differ only in case look the same to people: they must not name different data.
    others = {image_id.lower(), image_id.upper()} - {image_id}
    if Image.objects.filter(pk__in=others).exists():
        raise _taken(image_id)


def _taken(image_id: str) -> errors.Conflict:
    return errors.Conflict(f"Image ID {image_id} already exists!")


def update(
    image_id: str,
    changes: Changes,
    actor: Caller,
    location_changes: Sequence[LocationChange] = (),
    *,
    reason: str = "",
    step: Step = no_step,
) -> None:
    """Change attributes, properties and locations of an image: all changes, or none.

    Properties that the changes do not name stay as they are, also when another request changes them
    meanwhile. The change is made in one transaction, within the context that ``step`` returns.
    Raises NotFound, Invalid, Forbidden (a format can be set only before the image has data),
    Conflict, OverLimit.
    """
    changes = clean_changes(changes)
    prepared = prepare(image_id, location_changes, changes)
    with locked(image_id, actor) as image, step(image):
        change(image, changes, actor, reason=reason)
        for location_change in prepared:
            apply(image, location_change, actor)
    if prepared:
        failpoint("locations.changed")


def tag(image_id: str, name: str, actor: Caller) -> None:
    """Add a tag to an image; no error if it has the tag.

    Raises NotFound, Invalid for a tag that cannot be stored, OverLimit for too many tags.
    """
    (name,) = attributes.clean_tags([name])
    with locked(image_id, actor) as image:
        if name in image.tags:
            return
        attributes.check_tag_count(len(image.tags) + 1)
        _set_tags(image, sorted([*image.tags, name]), actor)


def untag(image_id: str, name: str, actor: Caller) -> None:
    """Remove a tag from an image.

    Raises NotFound, also if the image does not have the tag, and Invalid for text that cannot
    be a tag.
    """
    (name,) = attributes.clean_tags([name])
    with locked(image_id, actor) as image:
        if name not in image.tags:
            raise errors.NotFound("The image does not have this tag.")
        _set_tags(image, [other for other in image.tags if other != name], actor)


def _set_tags(image: Image, tags: list[str], actor: Caller) -> None:
    before, image.tags = image.tags, tags
    save(image, "tags")
    record(
        image,
        "update",
        actor,
        before=image.status,
        detail=event_details.shortened({"tags": [before, image.tags]}),
    )
