"""Usage by project and limit, computed from the rows in the database."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from images import stores
from images.models import (
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
    UploadChunk,
)
from images.models.transfer import UNCLEAN
from images.transfers import limits

# Not IN: each of the two statuses has an index of its own.
IS_OPEN = Q(status=TransferStatus.RUNNING) | Q(status=TransferStatus.WAITING)

# A transfer that began without a quota, or in an earlier release, has reserved nothing.
RESERVED = Coalesce("bytes_reserved", "bytes_expected", "bytes_received")


class Use(NamedTuple):
    """A project's limit and how much of it is used, both in MiB or as a number of images."""

    used: int
    limit: int  # -1: no limit
    source: str  # "keystone", "project" or "default"


def in_units(project: str) -> dict[str, Use]:
    """Return for each limit of a project, by its name, how much of it the project uses.

    Raises LimitsUnknown if the limits of Keystone are needed and were not read for too long.
    """
    allowed = limits.of(project)
    return {
        name: Use(
            amount // limits.UNITS[name],
            limits.in_units(name, allowed[name]),
            limits.source(project, name),
        )
        for name, amount in of(project).items()
    }


def of(owner: str | None) -> dict[str, int]:
    """Return how much a project uses of each limit: name of the limit -> bytes or images.

    Seven queries.
    """
    return {
        limits.SIZE_TOTAL: stored(owner) + reserved(owner),
        limits.STAGE_TOTAL: staged(owner),
        limits.COUNT_TOTAL: Image.objects.existing().filter(owner=owner).count(),
        limits.COUNT_UPLOADING: uploading(owner).count(),
    }


def stored(owner: str | None) -> int:
    """Return the bytes of all copies of a project's images, except for deleted images.

    Images in the trash count as deleted.
    """
    locations = ImageLocation.objects.filter(
        status=LocationStatus.ACTIVE, image__owner=owner, image__deleted_at=None
    )
    return _total(locations, "image__size")


def staged(owner: str | None, besides: Image | None = None) -> int:
    """Return the bytes of a project's resumable uploads, staged data, web downloads and copies.

    A transfer counts, while it is open, with its announced size or, if that is unknown, with the
    bytes that have arrived; uploads and staged data for the image ``besides`` do not count. The
    chunks of ended uploads count until they are removed.
    """
    staging = Transfer.objects.staging().exclude(image=besides)
    found = (rows.filter(image__owner=owner) for rows in (staging, _fetching()))
    left_over = UploadChunk.objects.filter(transfer__image__owner=owner).exclude(
        transfer__status=TransferStatus.RUNNING
    )
    size = Coalesce("bytes_expected", "bytes_received")
    return sum(_total(rows, size) for rows in found) + _total(left_over, "size")


def _fetching() -> QuerySet[Transfer]:
    """Return the open web downloads, also from other regions, and copies to other stores."""
    kinds = (TransferKind.WEB_DOWNLOAD, TransferKind.IMAGE_COPY)
    return Transfer.objects.filter(IS_OPEN, kind__in=kinds)


def uploading(owner: str | None) -> QuerySet[Image]:
    """Return the images of a project that are receiving data, or wait for a worker to fetch it."""
    return Image.objects.filter(
        owner=owner, pk__in=_bringing_data(IS_OPEN).values("image")
    )


def reserved(owner: str | None) -> int:
    """Return the bytes that a project's transfers have reserved."""
    return _total(reserving_transfers().filter(image__owner=owner), RESERVED)


def trash(owner: str | None) -> int:
    """Return the bytes that a project's images in the trash occupy in our stores.

    Objects that are due to be removed do not count, nor data at external URLs. Two queries.
    """
    copies = in_trash().filter(image__owner=owner)
    # The status is implied, but lets the database begin with the project's trash.
    kept = copies.filter(delete_after=None, image__status=Status.PENDING_DELETE)
    # Few: objects that could not be removed yet.
    others = copies.exclude(delete_after=None)
    return _total(kept, "image__size") + _total(others, "image__size")


def in_trash() -> QuerySet[ImageLocation]:
    """Return the copies in our stores that the quotas of the projects' trashes count."""
    kept = ImageLocation.objects.filter(
        Q(delete_after=None) | Q(delete_after__gt=timezone.now()),
        status=LocationStatus.PENDING_DELETE,
    )
    return kept.exclude(store=stores.HTTP.id)


def by_owner(
    rows: QuerySet[Any], size: str | Coalesce, image: str = "image"
) -> dict[str | None, int]:
    """Return the sum of the column ``size`` for each owner of the rows' images. One query.

    ``image`` is the path from a row to its image.
    """
    owner = f"{image}__owner"
    totals = rows.order_by().values_list(owner).annotate(bytes=Sum(size))
    return {owner: total for owner, total in totals if total}


def reserving_transfers() -> QuerySet[Transfer]:
    """Return the transfers that reserve bytes of their projects' quotas.

    They are the open transfers, and transfers that have ended because their image was deleted,
    until their partial data is removed: their clients may still hold the connection.
    """
    ended = UNCLEAN & Q(image__deleted_at__isnull=False) & ~Q(kind=TransferKind.STAGE)
    return _bringing_data(IS_OPEN | ended)


def _bringing_data(condition: Q) -> QuerySet[Transfer]:
    """Return the matching transfers that bring bytes which no other row of the image counts.

    Imports of resumable uploads and staged data are left out, because the upload counts their bytes
    already; so are transfers that only compute the digests of an image's data.
    """
    # An import has the same bytes as its resumable upload or its staged data; an image that
    # only gets its digests has them already.
    same = (Status.IMPORTING, Status.UPLOADING, Status.ACTIVE)
    return Transfer.objects.filter(condition).exclude(status_on_failure__in=same)


def _total(rows: QuerySet[Any], size: str | Coalesce) -> int:
    return int(rows.aggregate(total=Sum(size))["total"] or 0)
