"""Deletion of images, the trash, restoring from the trash, and scrub (permanent deletion from it).

Rows are marked and committed first; objects are removed afterwards by an idempotent step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count, F, Q, QuerySet, Sum
from django.utils import timezone

from images import cache, db, errors, pause, stores
from images.access import Caller, operator
from images.duty import Duty
from images.failpoints import failpoint
from images.lifecycle import family_members, image_count
from images.lifecycle.steps import Step, no_step
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    writing,
)
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import (
    backoff,
    leases,
    limits,
    object_removal,
    quota,
    reaper,
)
from images.transitions import follow, locked

RETRY = timedelta(minutes=1)  # doubled with each attempt


def delete(
    image_id: str,
    actor: Caller,
    reason: str = "",
    *,
    trash_only: bool = False,
    keep_trash: bool = False,
    step: Step = no_step,
) -> None:
    """Delete an image: to the trash if it has data and deletion is delayed, otherwise permanently.

    The image's running transfer is cancelled. Objects in an unavailable store are removed later.
    Where the project's trash has a quota, the oldest images in the trash are deleted permanently to
    make room; an image larger than the quota does not go to the trash. With ``keep_trash`` nothing
    is deleted permanently that can be restored or could be: without room in the trash, nothing
    changes. With ``trash_only`` that holds for every image, also for one without data. The change is
    made in one transaction, within the context that ``step`` returns. Raises NotFound, Forbidden if
    the image is protected, and Conflict if it is current in a family, or cannot go to the trash.
    """
    current = family_members.query_of_current_family(image_id)
    with locked(image_id, actor, then=[current]) as image, step(image):
        if image.protected:
            raise errors.Forbidden(
                f"Image {image_id} is protected and cannot be deleted. "
                "Set its 'protected' to false first."
            )
        family_members.check_not_current(image, "cannot be deleted", current)
        if image.status not in READABLE_STATUSES:
            leases.cancel(image)
        held = _active_locations(image)
        size = _stored_bytes(image, held)
        restorable = (
            settings.IMAGECATALOG_DELAYED_DELETE and image.status in READABLE_STATUSES
        )
        to_trash = restorable and _fits_in_trash(image, size)
        makes_room = not trash_only and not (keep_trash and restorable)
        if not makes_room and not (to_trash and _has_room(image, size)):
            raise errors.Conflict(
                f"The trash has no room for image {image_id}. Nothing was deleted."
            )
        mark = image.mark_pending_delete if to_trash else image.mark_deleted
        follow(image, mark, "delete", actor, reason=reason)
        for location in held:
            remove_location_row(location, None if to_trash else timezone.now())
    failpoint("delete.marked")
    cache.forget(image_id)
    if not to_trash:
        _remove_all(held, CircuitBreaker())
    elif makes_room:
        _make_room(image, size, actor)


def _has_room(image: Image, size: int) -> bool:
    return not size or quota.trash_excess(image.owner, size) <= 0


def _fits_in_trash(image: Image, size: int) -> bool:
    limit = limits.of_trash(image.owner)
    return limit is None or size <= limit


def _stored_bytes(image: Image, locations: Iterable[ImageLocation]) -> int:
    copies = sum(location.store != stores.HTTP.id for location in locations)
    return copies * (image.size or 0)


def _make_room(deleted: Image, size: int, actor: Caller) -> None:
    """Scrub the oldest images in a project's trash, after the image ``deleted`` was moved there.

    Scrubs as many bytes as exceed the trash quota, but not more than the ``size`` bytes of
    ``deleted``: a trash that was over its quota before stays as large as it was. Scrubs nothing
    while the workers are paused after a restore of the database: images in the trash may be
    needed.
    """
    excess = min(quota.trash_excess(deleted.owner), size)
    if excess <= 0 or pause.current():
        return
    breaker = CircuitBreaker()
    oldest = _others_in_trash(deleted)
    while excess > 0 and (image := oldest.first()) is not None:
        until = image.deleted_at
        # Conflict, NotFound: it was restored or scrubbed meanwhile.
        with suppress(errors.Conflict, errors.NotFound):
            held = _mark_scrubbed(image.pk, actor, "the trash is full", until)
            _remove_all(held, breaker)
            excess -= _stored_bytes(image, held)


def _others_in_trash(image: Image) -> QuerySet[Image]:
    """Return the other images in the trash of the image's project that take room, oldest first."""
    stored = ImageLocation.objects.exclude(store=stores.HTTP.id).values("image")
    others = Image.objects.in_trash().filter(owner=image.owner).exclude(pk=image.pk)
    return others.filter(size__gt=0, pk__in=stored).order_by("deleted_at", "pk")


class TrashRoom(NamedTuple):
    """The consequence of a quota of the trash for the deletion of an image of the project."""

    fits: bool  # else the deletion is permanent
    scrubbed: int  # images that are deleted permanently to make room


def trash_room(image: Image) -> TrashRoom:
    """Return what the quota of the trash means for the deletion of an image with data.

    A few queries.
    """
    size = _stored_bytes(image, _active_locations(image))
    if not _fits_in_trash(image, size):
        return TrashRoom(fits=False, scrubbed=0)
    excess = min(quota.trash_excess(image.owner, size), size)
    scrubbed = 0
    if excess > 0 and not pause.current():
        kept = Q(locations__status=LocationStatus.PENDING_DELETE)
        kept &= Q(locations__delete_after=None) & ~Q(locations__store=stores.HTTP.id)
        others = _others_in_trash(image).annotate(
            copies=Count("locations", filter=kept)
        )
        sizes = others.values_list("size", "copies")
        for other, copies in sizes.iterator(object_removal.BATCH):
            scrubbed += 1
            excess -= (other or 0) * copies
            if excess <= 0:
                break
    return TrashRoom(fits=True, scrubbed=scrubbed)


def _active_locations(image: Image) -> list[ImageLocation]:
    if image.status not in READABLE_STATUSES:
        return []
    return list(image.locations.filter(status=LocationStatus.ACTIVE))


def remove_location_row(location: ImageLocation, delete_after: datetime | None) -> None:
    """Mark a location as removed and save it; a worker removes its object after ``delete_after``.

    With None the object stays: the location can be restored with its image from the trash.
    """
    location.mark_pending_delete()
    location.delete_after = delete_after
    writing.update(location, ["status", "delete_after"])


def trash_locations(image: Image, locations: Iterable[ImageLocation]) -> None:
    """Remove locations from a locked image that is not deleted, and their objects later.

    The objects are removed after IMAGECATALOG_SCRUB_TIME, or soon if deletion is not delayed or the
    project's trash is full.
    """
    for location in locations:
        # A removed copy cannot be restored, so it must not use the trash quota of images that can.
        full = quota.trash_excess(image.owner, image.size or 0) > 0
        keeps = settings.IMAGECATALOG_DELAYED_DELETE and not full
        now = timezone.now()
        remove_location_row(location, scrub_at(now) if keeps else now)


def restore(
    image_id: str, actor: Caller, reason: str = "", *, step: Step = no_step
) -> None:
    """Restore an image from the trash, with its status before the deletion and its locations.

    At least one of its copies must still be in its store with its original size; an image of 0
    bytes needs no copy. The change is made in one transaction, within the context that ``step``
    returns. Raises NotFound, Conflict if no copy is left or the image is not in the trash,
    OverLimit if its bytes no longer fit into the quota or the project has all the images it is
    allowed, and StoreError if no store can answer.
    """
    readable = _readable_copy(image_id)
    with locked(image_id, actor, deleted=True) as image, step(image):
        locations = _trashed_locations(image)
        image_count.check_adding(image.owner)
        follow(image, image.mark_restored, "restore", actor, reason=reason)
        if locations and readable not in {location.pk for location in locations}:
            raise errors.Conflict(
                f"Image {image_id} was changed while its data was looked for. Try again."
            )
        quota.check_adding(image, (image.size or 0) * len(locations))
        for location in locations:
            location.mark_restored()
            writing.update(location, ["status", "delete_after"])
    failpoint("restore.done")


def _readable_copy(image_id: str) -> int | None:
    """Return the pk of a location of an image in the trash whose object exists in its store.

    Returns None if the image is not in the trash, or has 0 bytes and needs no object. Asks the
    stores, so it must not run under the row lock. The object can be removed only after the
    image is scrubbed, and then the image's status refuses the restore. Raises Conflict if no
    copy is left, StoreError if no store can answer.
    """
    image = Image.objects.in_trash().filter(pk=image_id).first()
    if image is None:
        return None
    locations = _trashed_locations(image)
    if image.size == 0 and not locations:
        return None
    store_error: errors.StoreError | None = None
    for location in locations:
        try:
            size = stores.get(location.store).size(location.key)
        except errors.DataMissing:
            continue
        except (errors.StoreError, errors.Invalid) as error:
            text = (
                f"Image {image_id} is not restored, because store {location.store} "
                "cannot say whether it has the data: "
            )
            store_error = errors.StoreError(f"{text}{error}")
            store_error.operator_message = f"{text}{error.for_operator()}"
            store_error.__cause__ = error.__cause__
            continue
        if image.size in (None, size):
            return location.pk
    raise store_error or errors.Conflict(
        f"Image {image_id} cannot be restored: its data is no longer in any store."
    )


def scrub(
    image_id: str,
    actor: Caller,
    reason: str = "",
    *,
    until: datetime | None = None,
    breaker: CircuitBreaker | None = None,
) -> None:
    """Delete an image in the trash permanently, even before its time in the trash is over.

    ``breaker`` is the circuit breaker that the calls for several images share: it counts the
    failures of stores, and unavailable stores are not asked. Raises NotFound, and Conflict if
    the image is not in the trash or was deleted after ``until``.
    """
    held = _mark_scrubbed(image_id, actor, reason, until)
    _remove_all(held, CircuitBreaker() if breaker is None else breaker)


def _mark_scrubbed(
    image_id: str, actor: Caller, reason: str, until: datetime | None
) -> list[ImageLocation]:
    with locked(image_id, actor, deleted=True) as image:
        follow(image, image.mark_scrubbed, "scrub", actor, reason=reason)
        if until and image.deleted_at and image.deleted_at > until:
            # The image was restored and deleted again after the caller selected it.
            raise errors.Conflict(f"The scrub time of image {image_id} is not over.")
        locations = _trashed_locations(image)
        for location in locations:
            location.delete_after = timezone.now()
            writing.update(location, ["delete_after"])
    failpoint("scrub.marked")
    return locations


def scrub_due(actor: Caller | None = None, *, dry_run: bool = False) -> list[str]:
    """Mark images as permanently deleted whose time in the trash is over; return their ids.

    One call marks a batch, oldest first. The stores are not asked: ``remove_due_objects``
    removes the objects of these images later. With ``dry_run`` nothing is changed.
    """
    actor = actor or operator("worker")
    until = due_until()
    ids = [
        trashed.id for trashed in islice(in_trash(until=until), object_removal.BATCH)
    ]
    if dry_run:
        return ids
    return [image_id for image_id in ids if _scrubbed(image_id, actor, until)]


def scrub_at(deleted_at: datetime) -> datetime:
    """Return when an image that went to the trash at ``deleted_at`` is to be deleted permanently."""
    return deleted_at + _scrub_time()


def due_until() -> datetime:
    """Return the latest time of deletion for which an image's time in the trash is over by now."""
    return timezone.now() - _scrub_time()


def _scrub_time() -> timedelta:
    return timedelta(seconds=settings.IMAGECATALOG_SCRUB_TIME)


class Trashed(NamedTuple):
    """An image in the trash, with the columns that lists and commands show."""

    id: str
    name: str | None
    size: int | None  # bytes
    deleted_at: datetime


def in_trash(
    *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[Trashed]:
    """Yield the images in the trash that were deleted from ``since`` to ``until``, oldest first.

    None stands for no limit of the period. The images are read in batches: the trash can have
    any size, and images can be restored or scrubbed meanwhile.
    """
    images = _trash(since, until).order_by("deleted_at", "pk")
    while True:
        rows = images.values_list("pk", "name", "size", "deleted_at")
        batch = [Trashed._make(row) for row in rows[: object_removal.BATCH]]
        yield from batch
        if len(batch) < object_removal.BATCH:
            return
        last = batch[-1]
        images = _trash(last.deleted_at, until).order_by("deleted_at", "pk")
        images = images.filter(Q(deleted_at__gt=last.deleted_at) | Q(pk__gt=last.id))


def trash_total(
    *, since: datetime | None = None, until: datetime | None = None
) -> tuple[int, int]:
    """Return how many images in the trash were deleted in a period, and the sum of their bytes.

    The period is from ``since`` to ``until``; None stands for no limit on that side. One query.
    """
    total = _trash(since, until).aggregate(count=Count("pk"), size=Sum("size"))
    return total["count"], total["size"] or 0


def _trash(since: datetime | None, until: datetime | None) -> QuerySet[Image]:
    images = Image.objects.in_trash()
    if since is not None:
        images = images.filter(deleted_at__gte=since)
    if until is not None:
        images = images.filter(deleted_at__lte=until)
    return images


def _scrubbed(image_id: str, actor: Caller, until: datetime) -> bool:
    try:
        _mark_scrubbed(image_id, actor, "scrub time is over", until)
    except (errors.Conflict, errors.NotFound):
        return False  # another request restored or scrubbed the image meanwhile
    return True


def remove_due() -> None:
    """Remove the objects of removed locations that are due, and the data of failed transfers.

    Objects that cannot be removed now are tried again later.
    """
    breaker = CircuitBreaker()
    remove_due_objects(breaker)
    reaper.remove_orphaned_objects(breaker)


def remove_due_objects(breaker: CircuitBreaker | None = None) -> int:
    """Remove the objects of removed locations whose time to be removed has come; return how many.

    ``breaker`` is the circuit breaker: stores that are unavailable are not asked, and new
    failures are counted. Objects that cannot be removed are tried again later, at growing
    intervals.
    """
    breaker = CircuitBreaker() if breaker is None else breaker
    due = ImageLocation.objects.filter(
        status=LocationStatus.PENDING_DELETE, delete_after__lte=timezone.now()
    ).order_by("delete_after")
    removed = 0
    # An object that could not be removed is no longer due: it waits for its next attempt.
    while batch := due.exclude(store__in=breaker.open_stores())[: object_removal.BATCH]:
        removed += _remove_all(batch, breaker)
    return removed


def retry_due_objects() -> int:
    """Remove the objects of removed locations that are due or have failed before; return how many.

    Each object is tried once, even if its last attempt failed just now.
    """
    breaker = CircuitBreaker()
    return _remove_all(object_removal.in_batches(_late(), breaker), breaker)


def overdue_count() -> int:
    """Return the number of removed locations whose object should have been removed by now."""
    return _late().count()


def _late() -> QuerySet[ImageLocation]:
    due = Q(delete_after__lte=timezone.now()) | Q(delete_attempts__gt=0)
    withdrawn = ImageLocation.objects.filter(status=LocationStatus.PENDING_DELETE)
    return withdrawn.filter(due).exclude(delete_after=None)


def _trashed_locations(image: Image) -> list[ImageLocation]:
    # Locations with a ``delete_after`` were removed from the image before it was deleted.
    trashed = image.locations.filter(
        status=LocationStatus.PENDING_DELETE, delete_after=None
    )
    return list(trashed)


def _remove_all(locations: Iterable[ImageLocation], breaker: CircuitBreaker) -> int:
    return sum(
        _remove(one, breaker) for one in locations if not breaker.is_open(one.store)
    )


def _remove(location: ImageLocation, breaker: CircuitBreaker) -> bool:
    if not object_removal.delete(location.store, location.key, breaker):
        ImageLocation.objects.filter(pk=location.pk).update(
            delete_after=timezone.now()
            + backoff.delay(RETRY, earlier=location.delete_attempts),
            delete_attempts=F("delete_attempts") + 1,
        )
        return False
    failpoint("delete.removed")
    with db.pipelined():
        rows = ImageLocation.objects.select_for_update()
        row = rows.filter(pk=location.pk, status=LocationStatus.PENDING_DELETE).first()
        if row is not None:
            row.mark_deleted()
            writing.update(row, ["status"])
    return True


DUTIES = (
    Duty("scrub the trash", scrub_due, may_block=True),
    Duty("remove objects that are due", remove_due, may_block=True),
)
