"""Deletion in two steps: marked and committed first, the bytes go in a step that can be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Sum
from django.utils import timezone

from images import errors, stores
from images.access import Caller, operator
from images.duties import Duty
from images.failpoints import failpoint
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
)
from images.transfers import backoff, leases, object_removal, reaper
from images.transfers.object_removal import Failures
from images.transitions import follow, locked

RETRY = timedelta(minutes=1)  # doubled each time


def delete(image_id: str, actor: Caller, reason: str = "") -> None:
    """Delete an image; with delayed deletion it can be restored until the scrub time is over.

    A transfer that is under way is ended. A store that cannot be reached is no failure: its
    bytes are removed later. Raises Forbidden when the image is protected, NotFound.
    """
    with locked(image_id) as image:
        if image.protected:
            raise errors.Forbidden(
                f"Image {image_id} is protected and cannot be deleted. "
                "Set its 'protected' to false first."
            )
        if image.status not in READABLE_STATUSES:
            leases.cancel(image)
        held = _held(image)
        kept = (
            settings.IMAGECATALOG_DELAYED_DELETE and image.status in READABLE_STATUSES
        )
        mark = image.mark_pending_delete if kept else image.mark_deleted
        follow(image, mark, "delete", actor, reason=reason)
        for location in held:
            withdraw(location, None if kept else timezone.now())
    failpoint("delete.marked")
    if not kept:
        _remove_all(held, Failures())


def _held(image: Image) -> list[ImageLocation]:
    if image.status not in READABLE_STATUSES:
        return []
    return list(image.locations.filter(status=LocationStatus.ACTIVE))


def withdraw(location: ImageLocation, delete_after: datetime | None) -> None:
    """Take a location from its image. Its bytes go after that time; None: with the image."""
    location.mark_pending_delete()
    location.delete_after = delete_after
    location.save(update_fields=["status", "delete_after"])


def restore(image_id: str, actor: Caller, reason: str = "") -> None:
    """Bring a deleted image back, in the status that it had and with all that it had.

    At least one of its copies must still be in its store, as large as it was; an image of no
    bytes needs none. Raises Conflict when none is, and unless the image is ``pending_delete``;
    StoreError when no store can tell; NotFound.
    """
    found = _found_copy(image_id)
    with locked(image_id, deleted=True) as image:
        held = _trashed(image)
        follow(image, image.mark_restored, "restore", actor, reason=reason)
        if held and found not in {location.pk for location in held}:
            raise errors.Conflict(
                f"Image {image_id} was changed while it was looked for. Try again."
            )
        for location in held:
            location.mark_restored()
            location.save(update_fields=["status", "delete_after"])
    failpoint("restore.done")


def _found_copy(image_id: str) -> int | None:
    """The location of a trashed image whose bytes are there; None: it has, or needs, none.

    Asks the stores, so never under the lock. What it found cannot go before the image is
    scrubbed, and then its status refuses.
    """
    image = Image.objects.in_trash().filter(pk=image_id).first()
    if image is None:
        return None
    held = _trashed(image)
    if image.size == 0 and not held:
        return None
    trouble: errors.StoreError | None = None
    for location in held:
        try:
            size = stores.get(location.store).size(location.key)
        except errors.DataMissing:
            continue
        except (errors.StoreError, errors.Invalid) as error:
            trouble = errors.StoreError(
                f"Image {image_id} is not restored, because store {location.store} "
                f"cannot tell whether it has the data: {error}"
            )
            continue
        if image.size in (None, size):
            return location.pk
    raise trouble or errors.Conflict(
        f"Image {image_id} cannot be restored: its data is not in any store any more."
    )


def scrub(
    image_id: str,
    actor: Caller,
    reason: str = "",
    *,
    until: datetime | None = None,
    failures: Failures | None = None,
) -> None:
    """Delete a ``pending_delete`` image for good, whatever its scrub time.

    Who scrubs many gives the ``failures`` of their stores, which are counted: those that are
    away are not asked. Raises Conflict in any other status, and when it was deleted after
    ``until``; NotFound.
    """
    held = _mark_scrubbed(image_id, actor, reason, until)
    _remove_all(held, Failures() if failures is None else failures)


def _mark_scrubbed(
    image_id: str, actor: Caller, reason: str, until: datetime | None
) -> list[ImageLocation]:
    with locked(image_id, deleted=True) as image:
        follow(image, image.mark_scrubbed, "scrub", actor, reason=reason)
        if until and image.deleted_at and image.deleted_at > until:
            # Restored since it was looked for, and deleted again.
            raise errors.Conflict(f"The scrub time of image {image_id} is not over.")
        held = _trashed(image)
        for location in held:
            location.delete_after = timezone.now()
            location.save(update_fields=["delete_after"])
    failpoint("scrub.marked")
    return held


def scrub_due(actor: Caller | None = None, *, dry_run: bool = False) -> list[str]:
    """Mark the images as scrubbed whose scrub time is over, a batch of the oldest; their ids.

    No store is asked: from now on their bytes are due for ``sweep``.
    """
    actor = actor or operator("worker")
    until = due_until()
    ids = [one.id for one in islice(in_trash(until=until), object_removal.BATCH)]
    if dry_run:
        return ids
    return [image_id for image_id in ids if _scrubbed(image_id, actor, until)]


def scrub_at(deleted_at: datetime) -> datetime:
    """When the scrub time of what was deleted then is over."""
    return deleted_at + _scrub_time()


def due_until() -> datetime:
    """The scrub time is over for images that were deleted until then."""
    return timezone.now() - _scrub_time()


def _scrub_time() -> timedelta:
    return timedelta(seconds=settings.IMAGECATALOG_SCRUB_TIME)


class Trashed(NamedTuple):
    """An image in the trash."""

    id: str
    name: str | None
    size: int | None  # bytes
    deleted_at: datetime


def in_trash(
    *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[Trashed]:
    """The ``pending_delete`` images that were deleted in this time, oldest first.

    Read in batches, so that it may be of any size, and be restored or scrubbed meanwhile.
    """
    found = _trash(since, until).order_by("deleted_at", "pk")
    while True:
        rows = found.values_list("pk", "name", "size", "deleted_at")
        batch = [Trashed._make(row) for row in rows[: object_removal.BATCH]]
        yield from batch
        if len(batch) < object_removal.BATCH:
            return
        last = batch[-1]
        found = _trash(last.deleted_at, until).order_by("deleted_at", "pk")
        found = found.filter(Q(deleted_at__gt=last.deleted_at) | Q(pk__gt=last.id))


def trash_total(
    *, since: datetime | None = None, until: datetime | None = None
) -> tuple[int, int]:
    """How many images ``in_trash`` gives, and the sum of their sizes in bytes. One query."""
    total = _trash(since, until).aggregate(count=Count("pk"), size=Sum("size"))
    return total["count"], total["size"] or 0


def _trash(since: datetime | None, until: datetime | None) -> QuerySet[Image]:
    found = Image.objects.in_trash()
    if since is not None:
        found = found.filter(deleted_at__gte=since)
    if until is not None:
        found = found.filter(deleted_at__lte=until)
    return found


def _scrubbed(image_id: str, actor: Caller, until: datetime) -> bool:
    try:
        _mark_scrubbed(image_id, actor, "scrub time is over", until)
    except (errors.Conflict, errors.NotFound):
        return False  # restored or scrubbed by somebody else meanwhile
    return True


def remove_due() -> None:
    """Remove all bytes that are due, of locations and of attempts."""
    failures = Failures()
    sweep(failures)
    reaper.remove_orphaned_objects(failures)


def sweep(failures: Failures | None = None) -> int:
    """Remove the bytes of all locations whose time has come; how many are gone.

    Stores that are away by their ``failures`` are not asked; new ones are counted.
    """
    failures = Failures() if failures is None else failures
    due = ImageLocation.objects.filter(
        status=LocationStatus.PENDING_DELETE, delete_after__lte=timezone.now()
    ).order_by("delete_after")
    removed = 0
    # What stays is not due any more: it waits for its next attempt.
    while batch := due.exclude(store__in=object_removal.unavailable(failures))[
        : object_removal.BATCH
    ]:
        removed += _remove_all(batch, failures)
    return removed


def sweep_all() -> int:
    """The same without waiting for the next attempt, each object once at most."""
    failures = Failures()
    return _remove_all(object_removal.in_batches(_late(), failures), failures)


def late_total() -> int:
    """How many objects should be gone by now, and are not."""
    return _late().count()


def _late() -> QuerySet[ImageLocation]:
    due = Q(delete_after__lte=timezone.now()) | Q(delete_attempts__gt=0)
    withdrawn = ImageLocation.objects.filter(status=LocationStatus.PENDING_DELETE)
    return withdrawn.filter(due).exclude(delete_after=None)


def _trashed(image: Image) -> list[ImageLocation]:
    # Those with a time of their own had been taken from the image before it was deleted.
    gone = image.locations.filter(
        status=LocationStatus.PENDING_DELETE, delete_after=None
    )
    return list(gone)


def _remove_all(locations: Iterable[ImageLocation], failures: Failures) -> int:
    return sum(
        _remove(one, failures)
        for one in locations
        if one.store not in object_removal.unavailable(failures)
    )


def _remove(location: ImageLocation, failures: Failures) -> bool:
    if not object_removal.delete(location.store, location.key, failures):
        ImageLocation.objects.filter(pk=location.pk).update(
            delete_after=timezone.now()
            + backoff.delay(RETRY, earlier=location.delete_attempts),
            delete_attempts=F("delete_attempts") + 1,
        )
        return False
    failpoint("delete.removed")
    with transaction.atomic():
        rows = ImageLocation.objects.select_for_update()
        row = rows.filter(pk=location.pk, status=LocationStatus.PENDING_DELETE).first()
        if row is not None:
            row.mark_deleted()
            row.save(update_fields=["status"])
    return True


DUTIES = (
    Duty("scrub the trash", scrub_due),
    Duty("remove objects that are due", remove_due, may_block=True),
)
