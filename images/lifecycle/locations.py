"""Add, remove and replace the locations of an image.

The first location makes a queued image active. When the last location of an active image is
removed, the image is queued again, and pinned: it accepts only the same data again.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from images import attributes, errors, stores
from images.access import Caller
from images.events import record
from images.lifecycle import family_members
from images.lifecycle.checked_data import (
    DATA_COLUMNS,
    Criteria,
    DataFacts,
    check_formats_set,
    check_same,
    set_facts,
)
from images.lifecycle.deletion import trash_locations
from images.lifecycle.location_preparation import (
    URL_STORE,
    AddLocation,
    LocationChange,
    Removal,
    RemoveLocation,
    ReplaceLocations,
    check_claimed_algorithm,
    check_claimed_size,
    prepare,
    trusts_owners,
)
from images.models import Image, ImageLocation, LocationStatus, Status
from images.transfers import quota
from images.transitions import follow, locked, save


def add_location(
    image_id: str, change: AddLocation, actor: Caller, reason: str = ""
) -> None:
    """Add a copy of an image's data at an http(s) URL; the first one makes a queued image active.

    The data is read and must pass the checks of an upload, unless IMAGECATALOG_LOCATION_DATA
    trusts owners' claims about it. Raises NotFound, Conflict for a wrong status or other data
    than the image's, Invalid for a URL that is refused or cannot be read, OverLimit,
    ContentRefused.
    """
    _change(image_id, change, actor, reason)


def remove_location(
    image_id: str, location_id: int, actor: Caller, reason: str = ""
) -> None:
    """Remove the location with this primary key from an active image.

    When its last location is removed, the image is queued again, and only the same data makes
    it active again. Raises NotFound, Forbidden if only damaged copies would be left, and for the
    last location if IMAGECATALOG_LAST_LOCATION is ``forbid``, Conflict for a wrong status and
    for the last location of a family's current image, Invalid if the data of the last copy must
    be read for its digests and cannot be read.
    """
    _change(image_id, RemoveLocation(location_id), actor, reason)


def remove_from_store(
    image_id: str, store_id: str, actor: Caller, reason: str = ""
) -> None:
    """Remove the locations in one store from an active image that also has data in another store.

    Raises NotFound, also if the store has no data of the image, Conflict for a wrong status,
    and Forbidden if no other store has the data without damage.
    """
    with locked(image_id, actor) as image:
        _require(image, "remove", Status.ACTIVE)
        locations = _active_locations(image)
        stored = [location for location in locations if location.store == store_id]
        others = [location for location in locations if location.store != store_id]
        if not stored:
            raise errors.NotFound(
                f"Image {image_id} is not stored in store {store_id}."
            )
        if not others:
            raise errors.Forbidden(
                "Cannot delete image data from the only store containing it. Consider "
                "deleting the image instead."
            )
        _withdraw(image, stored, others, actor, reason)


def _change(image_id: str, change: LocationChange, actor: Caller, reason: str) -> None:
    (prepared,) = prepare(image_id, [change])
    with locked(image_id, actor) as image:
        apply(image, prepared, actor, reason)


def apply(
    image: Image, change: LocationChange, actor: Caller, reason: str = ""
) -> None:
    """Make one change of locations to a locked image, save the image, and record an event.

    The change comes from ``prepare``, with the size and digests of the data. Raises Conflict if
    the image has changed since ``prepare``, and the errors of the change.
    """
    if isinstance(change, AddLocation):
        _add(image, change, actor, reason)
    elif isinstance(change, Removal):
        _remove(image, change, actor, reason)
    else:
        _replace(image, change, actor, reason)


def _active_locations(image: Image) -> list[ImageLocation]:
    # In the order of the index by which clients name locations.
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
    facts = _known(change.facts)
    check_claimed_size(change, facts.size)
    check_formats_set(image)
    _check_criteria(image, facts)
    locations = _active_locations(image)
    attributes.check_location_count(len(locations) + 1)
    if any(row.store == URL_STORE and row.key == change.url for row in locations):
        raise errors.Invalid("The location already exists.")
    _check_validation(image, change, facts)
    if image.status == Status.ACTIVE:
        _ensure_digests(image, change)
    check_same(image, facts)
    quota.check_adding(image, facts.size)
    ImageLocation.objects.create(
        image=image, store=URL_STORE, key=change.url, metadata=dict(change.metadata)
    )
    if image.status == Status.ACTIVE:
        save(image, *DATA_COLUMNS)
        record(image, "add_location", actor, before=image.status, reason=reason)
        return
    set_facts(image, facts)
    image.pinned = False
    follow(
        image,
        image.mark_located,
        "add_location",
        actor,
        also=DATA_COLUMNS,
        reason=reason,
    )


def _known(facts: DataFacts | None) -> DataFacts:
    if facts is None:
        raise _changed()
    return facts


def _check_criteria(image: Image, facts: DataFacts) -> None:
    """Raise Conflict unless the data was checked for the image's present formats and signature.

    Data that was not read is accepted only if IMAGECATALOG_LOCATION_DATA trusts owners.
    """
    if facts.criteria is None and trusts_owners():
        return
    if facts.criteria != Criteria.of(image):
        raise _changed()


def _changed() -> errors.Conflict:
    return errors.Conflict("The image was changed by another request. Try again.")


def _digest_late(image: Image, facts: DataFacts | None) -> None:
    """Set the digests of an image from ``facts`` if the image has no digests; do not save it.

    An image has no digests if its data was never read. The data at the URL is assumed to be the
    same as in earlier downloads.
    """
    if not image.checksum:
        facts = _known(facts)
        check_same(image, facts)
        set_facts(image, facts)


def _ensure_digests(image: Image, change: AddLocation) -> None:
    """Make sure that an active image has digests of its first copy before a further copy is added.

    Raises Conflict if IMAGECATALOG_LOCATION_DATA trusts owners, the image has no digest, and
    the further copy has a claimed digest, which would become the digest of the image.
    """
    if not trusts_owners():
        _digest_late(image, change.first_facts)
    elif change.validation and not image.os_hash_value:
        raise errors.Conflict(
            "The digests of an active image's data cannot be set. Leave out validation_data."
        )


def _check_validation(image: Image, change: AddLocation, facts: DataFacts) -> None:
    claimed = change.validation
    check_claimed_algorithm(image, change)
    actual = {"checksum": facts.checksum, "os_hash_value": facts.hash_value}
    for name, value in actual.items():
        if name in claimed and claimed[name].lower() != value:
            raise errors.Conflict(
                f"The data at the location does not have the given {name}."
            )


def _remove(image: Image, change: Removal, actor: Caller, reason: str) -> None:
    _require(image, "remove", Status.ACTIVE)
    locations = _active_locations(image)
    chosen = _chosen(locations, change)
    others = [location for location in locations if location is not chosen]
    if not others:
        _empty(image, locations, change.facts, actor, reason)
        return
    _withdraw(image, [chosen], others, actor, reason)


def _withdraw(
    image: Image,
    locations: Sequence[ImageLocation],
    others: Sequence[ImageLocation],
    actor: Caller,
    reason: str,
) -> None:
    """Remove locations from an active image that keeps the ``others``; record an event.

    Raises Forbidden if the image would lose its last undamaged copy: all ``others`` are damaged,
    and at least one of ``locations`` is not.
    """
    if all(it.damage for it in others) and not all(it.damage for it in locations):
        raise errors.Forbidden(
            "Cannot delete the only copy of the image data that is not damaged. Replace a "
            "damaged copy first: copy the image to its store again."
        )
    trash_locations(image, locations)
    save(image)
    record(image, "remove_location", actor, before=image.status, reason=reason)


def _chosen(locations: Sequence[ImageLocation], change: Removal) -> ImageLocation:
    if isinstance(change, RemoveLocation):
        location = next(
            (row for row in locations if row.pk == change.location_id), None
        )
        if location is None:
            raise errors.NotFound("The image has no such location.")
        return location
    if not 0 <= change.index < len(locations):
        raise errors.Invalid(
            f"There is no location {change.index}; the image has {len(locations)}."
        )
    return locations[change.index]


def _empty(
    image: Image,
    locations: list[ImageLocation],
    facts: DataFacts | None,
    actor: Caller,
    reason: str,
) -> None:
    if _last_must_stay():
        raise errors.Forbidden("Cannot remove last location in the image.")
    family_members.check_not_current(image, "must keep its data")
    _digest_late(image, facts)  # the pin needs digests
    trash_locations(image, locations)
    image.pinned = True
    follow(
        image,
        image.mark_unlocated,
        "remove_location",
        actor,
        also=DATA_COLUMNS,
        reason=reason,
    )


def _last_must_stay() -> bool:
    return bool(settings.IMAGECATALOG_LAST_LOCATION == "forbid")


def _replace(
    image: Image, change: ReplaceLocations, actor: Caller, reason: str
) -> None:
    """Replace the locations of an image by the locations in ``change``.

    A queued image gets the new locations. For an active image, an empty list removes all
    locations; any other list must have the same URLs, and replaces their metadata. Raises
    Conflict in any other status, Forbidden if the last location must stay, Invalid for other
    URLs, and the errors of a location that is added.
    """
    _require(image, "replace", Status.QUEUED, Status.ACTIVE)
    if not change.locations and _last_must_stay():
        raise errors.Forbidden("Cannot set locations to empty list.")
    if image.status == Status.QUEUED:
        for location in change.locations:
            _add(image, location, actor, reason)
        return
    locations = _active_locations(image)
    if not change.locations:
        _empty(image, locations, change.facts, actor, reason)
        return
    _replace_metadata(locations, change.locations)
    save(image)
    record(image, "replace_locations", actor, before=image.status, reason=reason)


def _replace_metadata(
    rows: Sequence[ImageLocation], locations: Sequence[AddLocation]
) -> None:
    by_url = {stores.get_for_location(row.store).url(row.key): row for row in rows}
    if sorted(location.url for location in locations) != sorted(by_url):
        raise errors.Invalid(
            "Only the metadata of an active image's locations can be replaced; "
            "the URLs must stay as they are."
        )
    for location in locations:
        row = by_url[location.url]
        row.metadata = dict(location.metadata)
        row.save(update_fields=["metadata"])
