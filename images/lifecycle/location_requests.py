"""Requests to make an image active with data at a URL, which a background worker checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from images import errors
from images.access import Caller
from images.failpoints import failpoint
from images.lifecycle.checked_data import check_ready
from images.lifecycle.location_preparation import (
    AddLocation,
    check_url_length,
    prepare,
    trusts_owners,
)
from images.lifecycle.locations import apply
from images.models import Image, Status, TransferKind
from images.stores import HTTP, url_filter
from images.transfers import leases, quota
from images.transfers.tasks import Task
from images.transitions import follow, locked


def request_location(
    image_id: str,
    url: str,
    digests: Mapping[str, str],
    actor: Caller,
    document: Mapping[str, Any],
) -> None:
    """Request that the data at a URL becomes the data of a queued image: queued -> importing.

    A background worker reads the data and checks it like an upload; then the image is active.
    ``digests`` are the expected digests of the data: algorithm -> hexadecimal. ``document`` is
    the JSON object that the task of the request shows. If IMAGECATALOG_LOCATION_DATA trusts
    owners, and no digest is expected, the image is active at once, and the worker adds the
    digests later.

    The role ``service`` can do this for images of other projects. Raises NotFound, Forbidden,
    Conflict if the image is not queued, Invalid for a URL that is refused, OverLimit, and the
    errors of the checks that an upload must pass too.
    """
    check_url_length(url)
    url_filter.check(url)
    trusted = []
    if trusts_owners() and not digests:
        trusted = prepare(image_id, [AddLocation(url)])
    with locked(image_id, None if actor.is_service else actor) as image:
        _check_queued(image)
        for location in trusted:
            apply(image, location, actor)
        if not trusted:
            _begin(image, url, digests, actor, document)
        elif not image.checksum:
            _begin_digests(image, url, actor, document)
    failpoint("location.requested")


def _check_queued(image: Image) -> None:
    if image.status != Status.QUEUED:
        raise errors.Conflict(
            f"It's not allowed to add locations if image status is {image.status}."
        )


def _begin_digests(
    image: Image, url: str, actor: Caller, document: Mapping[str, Any]
) -> None:
    """Queue a transfer in which a worker reads the data of a locked, active image for its digests."""
    leases.begin(
        image,
        TransferKind.LOCATION,
        HTTP,
        actor,
        expected=image.size,
        status_on_failure=Status.ACTIVE,
        source=url,
        task=_task(actor, document),
    )


def _task(actor: Caller, document: Mapping[str, Any]) -> Task:
    return Task(uuid4(), "", actor.user, actor.project, document)


def _begin(
    image: Image,
    url: str,
    digests: Mapping[str, str],
    actor: Caller,
    document: Mapping[str, Any],
) -> None:
    check_ready(image)
    quota.check_uploading(image)
    follow(image, image.mark_importing, "import", actor)
    leases.begin(
        image,
        TransferKind.LOCATION,
        HTTP,
        actor,
        expected=None,
        status_on_failure=Status.QUEUED,
        digests=digests,
        source=url,
        reserved=quota.reserve(image, None),
        task=_task(actor, document),
    )
