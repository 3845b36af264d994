"""The lock on an image's row, and the only function that changes an image's status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.utils import timezone
from django_fsm import can_proceed

from images import db, errors
from images.access import Caller, check_owner, missing
from images.events import record
from images.models import Image, writing
from images.models.reading import instance
from images.models.statements import Placeholders, Query, Statement, compiled


@contextmanager
def locked(
    image_id: str,
    owned_by: Caller | None = None,
    *,
    deleted: bool = False,
    then: Sequence[Query] = (),
) -> Iterator[Image]:
    """Lock an image's row for the context, in a transaction, and yield the image.

    On SQLite the transaction itself is the lock (IMMEDIATE). Keep the transaction short:
    transfer no data and call no other service in it. ``owned_by`` is the caller, or None for no
    check. The queries ``then`` are sent together with the lock, and see what they would see after
    it. Raises NotFound if there is no such image, also for a deleted image without
    ``deleted``, and Forbidden unless the caller is an admin or of the image's project.
    """
    with db.pipelined():
        placeholders = Placeholders()
        statement = _lock(placeholders.add(image_id), deleted)
        lock = Query(placeholders.fill_in(statement))
        for query in (lock, *then):
            query.send()
        row = next(iter(lock.rows()), None)
        if row is None:
            raise missing(image_id)
        image = instance(Image, row)
        if owned_by is not None:
            check_owner(owned_by, image.owner)
        yield image


@cache
def _lock(image_id: str, deleted: bool) -> Statement:
    # Compiled once with a placeholder, because every change of an image executes it.
    images = Image.objects.all() if deleted else Image.objects.existing()
    return compiled(images.select_for_update().filter(pk=image_id))


def follow(
    image: Image,
    mark: Callable[[], Any],
    verb: str,
    actor: Caller,
    *,
    also: Iterable[str] = (),
    reason: str = "",
    detail: dict[str, Any] | None = None,
    refusal: type[errors.ImageError] = errors.Conflict,
) -> None:
    """Apply one transition of the life cycle: check, change, save, and record the event.

    ``mark`` is the transition method of this image, ``verb`` names it in the event and in the
    error, ``also`` names further columns to save; ``reason`` and ``detail`` are stored in the
    event. Raises ``refusal`` when the image's status does not allow the transition.
    """
    before = image.status
    if not can_proceed(mark):
        raise refusal(f"Not allowed to {verb} image in status '{before}'.")
    mark()
    save(image, "status", "status_before_delete", "deleted_at", *also)
    record(image, verb, actor, before=before, reason=reason, detail=detail)


def save(image: Image, *columns: str) -> None:
    """Save the given columns of an existing image, and ``updated_at``."""
    image.updated_at = timezone.now()
    writing.update(image, [*columns, "updated_at"])
