"""Locations: from zero to one or more (queued -> active), and back (active -> queued, pinned)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from images import attributes, errors, stores
from images.access import Caller
from images.lifecycle.deletion import scrub_at, withdraw
from images.lifecycle.location_changes import (
    STORE,
    AddLocation,
    Found,
    LocationChange,
    Removal,
    RemoveLocation,
    ReplaceLocations,
    algorithm,
    prepare,
    trusting,
)
from images.lifecycle.uploading import DATA_COLUMNS, check_formats_set, check_same
from images.models import Image, ImageLocation, LocationStatus, Status
from images.transfers import quota
from images.transitions import follow, locked, record, save


def add_location(
    image_id: str, change: AddLocation, actor: Caller, reason: str = ""
) -> None:
    """Add a copy at an http(s) URL; the first one makes a queued image active.

    Where digests are known, of the image or given with the location, the bytes are read and
    must match. Raises Invalid, Conflict, OverLimit, NotFound.
    """
    _change(image_id, change, actor, reason)


def remove_location(
    image_id: str, location_id: int, actor: Caller, reason: str = ""
) -> None:
    """Take the copy with this primary key from an active image.

    With the last one the image is queued again, and only the same bytes make it active once
    more (IMAGECATALOG_LAST_LOCATION=forbid: Forbidden). Raises Invalid, Conflict, NotFound.
    """
    _change(image_id, RemoveLocation(location_id), actor, reason)


def _change(image_id: str, change: LocationChange, actor: Caller, reason: str) -> None:
    (prepared,) = prepare(image_id, [change])
    with locked(image_id) as image:
        apply(image, prepared, actor, reason)


def apply(
    image: Image, change: LocationChange, actor: Caller, reason: str = ""
) -> None:
    """Make one prepared change to a locked image."""
    if isinstance(change, AddLocation):
        _add(image, change, actor, reason)
    elif isinstance(change, Removal):
        _remove(image, change, actor, reason)
    else:
        _replace(image, change, actor, reason)


def _held(image: Image) -> list[ImageLocation]:
    # In the order in which clients count them.
    return list(image.locations.filter(status=LocationStatus.ACTIVE).order_by("pk"))


def _require(image: Image, verb: str, *allowed: Status) -> None:
    if image.status not in allowed:
        raise errors.Conflict(
            f"It's not allowed to {verb} locations if image status is {image.status}."
        )


def _add(image: Image, change: AddLocation, actor: Caller, reason: str) -> None:
    if change.only and image.status != Status.QUEUED:
        raise errors.AlreadyBegun(
            "Attempted to update Location field for an image not in queued status."
        )
    _require(image, "add", Status.QUEUED, Status.ACTIVE)
    if image.status == Status.ACTIVE and not change.to_active:
        raise _changed()
    found = _looked_at(change.found)
    if change.size not in (None, found.size):
        raise errors.Conflict(
            "Provided image size must match the stored image size. "
            f"(provided size: {change.size}, stored size: {found.size})"
        )
    check_formats_set(image)
    held = _held(image)
    attributes.check_location_count(len(held) + 1)
    if any(one.store == STORE and one.key == change.url for one in held):
        raise errors.Invalid("The location already exists.")
    _check_validation(image, change, found)
    if image.status == Status.ACTIVE:
        _check_known(image, change)
    check_same(image, found.size, found.checksum, found.hash_value)
    quota.check_adding(image, found.size)
    ImageLocation.objects.create(
        image=image, store=STORE, key=change.url, metadata=dict(change.metadata)
    )
    if image.status == Status.ACTIVE:
        save(image, *DATA_COLUMNS)
        record(image, "add_location", actor, before=image.status, reason=reason)
        return
    _note_digests(image, found)
    image.pinned = False
    follow(
        image,
        image.mark_located,
        "add_location",
        actor,
        also=DATA_COLUMNS,
        reason=reason,
    )


def _looked_at(found: Found | None) -> Found:
    if found is None:
        raise _changed()
    return found


def _changed() -> errors.Conflict:
    return errors.Conflict("The image was changed by somebody else. Try again.")


def _note_digests(image: Image, found: Found) -> None:
    image.size = found.size
    if found.hash_value:
        image.os_hash_algo = algorithm(image)
        image.checksum = found.checksum
        image.os_hash_value = found.hash_value


def _digest_late(image: Image, found: Found | None) -> None:
    """What is at the only location now is taken for what has been given out so far."""
    if not image.checksum:
        found = _looked_at(found)
        check_same(image, found.size, found.checksum, found.hash_value)
        _note_digests(image, found)


def _check_known(image: Image, change: AddLocation) -> None:
    """Of an active image it is known what it is; a second copy cannot tell."""
    if not trusting():
        _digest_late(image, change.first)
    elif change.validation and not image.os_hash_value:
        raise errors.Conflict(
            "The digests of an active image's data cannot be set any more."
        )


def _check_validation(image: Image, change: AddLocation, found: Found) -> None:
    claimed = change.validation
    if not claimed:
        return
    if claimed["os_hash_algo"] != algorithm(image):
        raise errors.Conflict(f"os_hash_algo must be {algorithm(image)} here.")
    facts = {"checksum": found.checksum, "os_hash_value": found.hash_value}
    for name, value in facts.items():
        if name in claimed and claimed[name].lower() != value:
            raise errors.Conflict(
                f"The data at the location does not have the {name} that was given."
            )


def _remove(image: Image, change: Removal, actor: Caller, reason: str) -> None:
    _require(image, "remove", Status.ACTIVE)
    held = _held(image)
    chosen = _chosen(held, change)
    if len(held) == 1:
        _empty(image, held, change.found, actor, reason)
        return
    withdraw(chosen, _delete_after())
    save(image)
    record(image, "remove_location", actor, before=image.status, reason=reason)


def _chosen(held: Sequence[ImageLocation], change: Removal) -> ImageLocation:
    if isinstance(change, RemoveLocation):
        found = next((one for one in held if one.pk == change.location_id), None)
        if found is None:
            raise errors.NotFound("The image has no such location.")
        return found
    if not 0 <= change.index < len(held):
        raise errors.Invalid(
            f"There is no location {change.index}; the image has {len(held)}."
        )
    return held[change.index]


def _empty(
    image: Image,
    held: list[ImageLocation],
    found: Found | None,
    actor: Caller,
    reason: str,
) -> None:
    if _must_stay():
        raise errors.Forbidden("Cannot remove last location in the image.")
    _digest_late(image, found)  # the pin is made of digests
    for location in held:
        withdraw(location, _delete_after())
    image.pinned = True
    follow(
        image,
        image.mark_unlocated,
        "remove_location",
        actor,
        also=DATA_COLUMNS,
        reason=reason,
    )


def _must_stay() -> bool:
    return bool(settings.IMAGECATALOG_LAST_LOCATION == "forbid")


def _delete_after() -> datetime:
    if not settings.IMAGECATALOG_DELAYED_DELETE:
        return timezone.now()
    return scrub_at(timezone.now())


def _replace(
    image: Image, change: ReplaceLocations, actor: Caller, reason: str
) -> None:
    """Set all locations of a queued image, empty an active one, or change its metadata."""
    _require(image, "replace", Status.QUEUED, Status.ACTIVE)
    if not change.locations and _must_stay():
        raise errors.Forbidden("Cannot set locations to empty list.")
    if image.status == Status.QUEUED:
        for location in change.locations:
            _add(image, location, actor, reason)
        return
    held = _held(image)
    if not change.locations:
        _empty(image, held, change.found, actor, reason)
        return
    _replace_metadata(held, change.locations)
    save(image)
    record(image, "replace_locations", actor, before=image.status, reason=reason)


def _replace_metadata(
    held: Sequence[ImageLocation], locations: Sequence[AddLocation]
) -> None:
    by_url = {stores.holding(one.store).url(one.key): one for one in held}
    if sorted(location.url for location in locations) != sorted(by_url):
        raise errors.Invalid(
            "Only the metadata of an active image's locations can be replaced; "
            "the URLs must stay as they are."
        )
    for location in locations:
        row = by_url[location.url]
        row.metadata = dict(location.metadata)
        row.save(update_fields=["metadata"])
