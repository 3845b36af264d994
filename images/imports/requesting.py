"""Requests for imports: checked and queued at once, carried out later by a background worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from django.db import transaction

from images import access, attributes, errors, lifecycle, stores
from images.access import Caller
from images.failpoints import failpoint
from images.imports import injection, methods, plugins, published_digests
from images.imports.request import ImportRequest
from images.models import (
    OPEN_STATUSES,
    ImportMethod,
    Status,
    Transfer,
    TransferKind,
    rows,
)
from images.transfers.targets import Targets
from images.transfers.tasks import Task
from images.transitions import locked


def check_image(method: str, image: Mapping[str, Any], caller: Caller) -> None:
    """Raise Conflict unless the import method can import data into this image (a row) now.

    The image needs the right status and both formats. Raises Invalid for an unknown method,
    Forbidden if the method is copy-image and the caller is not allowed to copy images.
    """
    chosen = methods.get(method)
    is_copied = method == ImportMethod.COPY_IMAGE
    if image["status"] == Status.ACTIVE and not is_copied:
        raise errors.Conflict("Image with status active cannot be target for import")
    chosen.check_status(image["status"])
    for name in ("container_format", "disk_format"):
        if not image[name]:
            raise errors.Conflict(f"'{name}' needs to be set before import")
    if is_copied:
        access.check(caller, "copy_image", image)


def request_import(image_id: str, wanted: ImportRequest, actor: Caller) -> Task | None:
    """Queue the import of an image's data, and return its task.

    Returns None, without a task, if the request is for all stores and they have the data
    already.

    Raises NotFound, Conflict (the image has the wrong status or no formats, another import is
    queued or running, a store does not exist), Invalid (unknown method, refused URL, a
    signature that cannot be verified), Forbidden (the rule ``copy_image``), OverLimit,
    StoreReadOnly.
    """
    _check_no_transfer(image_id)
    targets = _targets(wanted)
    wanted = _prepared(wanted)
    task = _task(wanted, actor)
    is_queued = _queue(image_id, wanted, targets, task, actor)
    failpoint("import.requested")
    return task if is_queued else None


def import_new(
    attributes: tuple[dict[str, Any], dict[str, str], list[str]],
    wanted: ImportRequest,
    actor: Caller,
) -> Task:
    """Create an image and queue the import of its data: both or neither. Return the task.

    ``attributes`` are the image's (attributes, custom properties, tags). Raises the errors of
    ``request_import`` and of ``lifecycle.create``.
    """
    targets = _targets(wanted)
    wanted = _prepared(wanted)
    task = _task(wanted, actor)
    with transaction.atomic():
        image = lifecycle.create(*attributes, actor)
        _queue(image.pk, wanted, targets, task, actor)
    failpoint("import.requested")
    return task


def _prepared(wanted: ImportRequest) -> ImportRequest:
    method = methods.get(wanted.method)
    published_digests.check(wanted)
    return method.prepare(wanted)


def _task(wanted: ImportRequest, actor: Caller) -> Task:
    method = ImportMethod(wanted.method)
    shown = published_digests.shown(wanted) | plugins.shown(wanted)
    document = {**wanted.document, **shown}
    return Task(uuid4(), method, actor.user, actor.project, document)


def _queue(
    image_id: str, wanted: ImportRequest, targets: Targets, task: Task, actor: Caller
) -> bool:
    """Lock and check an image, and queue its import; return whether a transfer was queued.

    No transfer is needed if the request is for all stores and they have the data already.
    """
    with locked(image_id, actor) as image:
        _check_no_transfer(image_id)
        check_image(wanted.method, rows.row_of(image), actor)
        lifecycle.check_ready(image)
        injection.inject(image, actor)
        return methods.get(wanted.method).queue(image, wanted, targets, actor, task)


def _check_no_transfer(image_id: str) -> None:
    """Raise Conflict if the image has an open transfer, other than one that keeps staged data."""
    tasks = Transfer.objects.filter(image=image_id, status__in=OPEN_STATUSES)
    if tasks.exclude(kind=TransferKind.STAGE).exists():
        raise errors.Conflict("Image has active task")


def _targets(wanted: ImportRequest) -> Targets:
    """Return the stores that get the data: the requested stores, all stores, or the default store.

    Raises Conflict if a store is not configured, OverLimit if an image cannot have so many
    locations, StoreReadOnly for a read-only store; a copy to a read-only store is accepted, and
    fails, as in Glance.
    """
    names: Sequence[str | None] = wanted.store_ids or (None,)
    if wanted.all_stores:
        names = [store.id for store in stores.configured()]
    try:
        found = tuple(_target(name, wanted.method) for name in names)
    except errors.Invalid as error:
        raise errors.Conflict(str(error)) from None
    attributes.check_location_count(len(found))
    return Targets(found, wanted.all_must_succeed)


def _target(name: str | None, method: str) -> stores.Store:
    """Return the store with this id, or the default store. Raises Invalid, StoreReadOnly."""
    if name and method == ImportMethod.COPY_IMAGE:
        return stores.get(name)
    return lifecycle.writable_store(name)
