"""The checks of a project's use of storage against its limits.

Each copy of an image counts. Images in the trash do not count, so deletion frees space at
once; the trash and the chunks of resumable uploads have limits of their own.

A transfer reserves bytes before they come, in its own row: the reservation ends with the
transfer or, if its image was deleted, with the removal of the partial data. The sum over the
copies and the reservation are computed under one advisory lock of the project, so that no
stored total can differ from the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce

from images import db, errors, process_metrics
from images.models import (
    Image,
    Transfer,
    TransferKind,
    TransferStatus,
)
from images.transfers import limits, usage
from images.transfers.heartbeat import gone
from images.units import counted

LOCK = 7402  # first key of the advisory locks of quotas; the second is a hash of the project
STEP = 64 << 20  # bytes reserved ahead of data whose size is unknown
MARGIN = 500  # more transfers than can begin at once: so far below the limit no lock is needed
SHARE = 8  # at most an eighth of what is left is reserved ahead; others need the rest


def remaining(image: Image) -> int | None:
    """Return how many more bytes the image's owner is allowed to store; None: no hard limit.

    A limit is hard if IMAGECATALOG_SIZE_LIMITS is ``hard``. The result is negative if the
    limit is exceeded. Reservations of open transfers are not subtracted.
    """
    limit = _hard_limit(image)
    return None if limit is None else limit - usage.stored(image.owner)


def reserve(image: Image, size: int | None, copies: int = 1) -> int | None:
    """Check the quota for a transfer that begins, and return the number of bytes to reserve.

    The number is the ``size`` of the data for each of the ``copies``, or one byte if the size
    is unknown; None if the owner has no quota, or IMAGECATALOG_SIZE_LIMITS is ``soft``. Call it
    with the image locked, and save the number in the transfer's row in the same transaction.
    Raises QuotaExceeded if the quota is exceeded.
    """
    least = 1 if size is None else size * copies
    _check_soft(image, least)
    if _hard_limit(image) is None:
        return None
    if _granted(image, least, least) is None:
        raise exceeded(image, least)
    return least


def reserving(
    transfer: Transfer, blocks: Iterable[bytes], copies: int = 1
) -> Iterator[bytes]:
    """Yield the blocks of a running transfer, and reserve their bytes before they are used.

    ``copies`` is the number of stores that get each block. Raises QuotaExceeded if the quota is
    exceeded, and Gone if the transfer is no longer running.
    """
    if _hard_limit(transfer.image) is None:
        yield from blocks
        return
    expected, needed = transfer.bytes_expected, 0
    if expected is not None and expected * copies > (transfer.bytes_reserved or 0):
        _extend(transfer, expected * copies, expected * copies)
    for block in blocks:
        needed += len(block) * copies
        if expected is None and needed > (transfer.bytes_reserved or 0):
            _extend(transfer, needed, needed + STEP)
        yield block


def check_adding(image: Image, size: int, transfer: Transfer | None = None) -> None:
    """Raise QuotaExceeded if ``size`` more bytes exceed the quota of the image's owner.

    Call it in the transaction that adds the bytes. The bytes that ``transfer``, which ends in
    this transaction, has reserved always fit. This is the decisive check: when several images
    of a project are completed at once, each check sees the images before it.
    """
    if transfer is None:
        _check_soft(image, size)
    if _hard_limit(image) is None:
        return
    if transfer and transfer.bytes_reserved and size <= transfer.bytes_reserved:
        lock_project(image.owner)  # others count either the reservation or the copy
        return
    lock_project(image.owner)
    left = _left(image, F("bytes_reserved"), transfer)
    if left is not None and size > left:
        raise exceeded(image, size, transfer)


def check_uploading(image: Image) -> None:
    """Raise QuotaExceeded if the project's limit of images that are receiving data is reached.

    Called with the image locked, in the transaction that begins a transfer for it. Images
    whose web download waits for a worker count, too.
    """
    most = limits.of(image.owner)[limits.COUNT_UPLOADING]
    if most is None:
        return
    others = usage.uploading(image.owner).exclude(pk=image.pk)
    if others.count() < most - MARGIN:
        return
    lock_project(image.owner)
    if others.count() >= most:
        raise refusal(
            limits.COUNT_UPLOADING,
            f"Data is on its way to {counted(most, 'image')} of the project, which is the limit. "
            "Wait until it has arrived, or ask for a higher limit.",
        )


def check_staging(image: Image, size: int) -> None:
    """Raise QuotaExceeded if ``size`` more bytes would exceed the project's staging quota.

    Called with the image locked, in the transaction that begins a resumable upload, a stage
    request, a web download or a copy to another store; for staged data of unknown size also in
    the transactions that count its chunks. If IMAGECATALOG_SIZE_LIMITS is ``soft``, ``size``
    does not count: the error is raised only once the quota is exceeded.
    """
    most = limits.of(image.owner)[limits.STAGE_TOTAL]
    if most is None:
        return
    lock_project(image.owner)
    more, used = 0 if _are_soft() else size, usage.staged(image.owner, besides=image)
    if more + used > most:
        raise refusal(
            limits.STAGE_TOTAL,
            f"The project's staged and imported data would exceed its quota of {most} bytes: "
            f"it uses {used}, and at least {size} more are needed. Wait for its imports, finish or "
            "cancel other uploads, or send the data in one request.",
        )


def trash_excess(owner: str | None, more: int = 0) -> int:
    """Return by how many bytes a project's trash exceeds its quota; 0 or less if it does not.

    ``more`` is the number of bytes that will be added to the trash.
    """
    most = limits.of_trash(owner)
    if most is None:
        return 0
    return usage.trash(owner) + more - most


def exceeded(
    image: Image, asked: int, transfer: Transfer | None = None
) -> errors.QuotaExceeded:
    """Return the error for data that exceeds the quota of the image's project.

    ``asked`` is the size of the data in bytes, or what has arrived of it. The bytes that
    ``transfer``, which brings the data, has reserved do not count as used.
    """
    limit, left = _limit(image) or 0, _left(image, usage.RESERVED, transfer)
    used = usage.stored(image.owner) if left is None else limit - left
    return refusal(
        limits.SIZE_TOTAL,
        f"The project's images would exceed its quota of {limit} bytes: they use {used}, "
        f"and at least {asked} more are needed. Delete images that are not needed, or ask for a "
        "larger quota.",
    )


def refusal(name: str, message: str) -> errors.QuotaExceeded:
    """Return the error for a request that exceeds the limit ``name``, and count it for the metrics."""
    process_metrics.count("quota_refusals_total", name)
    return errors.QuotaExceeded(name, message)


def _extend(transfer: Transfer, least: int, most: int) -> None:
    try:
        with transaction.atomic():
            image = Image.objects.only("owner").get(pk=transfer.image_id)
            granted = _granted(image, least, most, transfer)
            # A refused transfer gives back what it has at once, so that of several transfers that
            # reach the quota together one can go on.
            transfer.bytes_reserved = granted or 0
            running = Transfer.objects.filter(
                pk=transfer.pk, status=TransferStatus.RUNNING
            )
            if not running.update(bytes_reserved=transfer.bytes_reserved):
                raise gone(transfer)
        if granted is None:
            raise exceeded(image, least, transfer)
    finally:
        db.release_connection()


def _limit(image: Image) -> int | None:
    return limits.of(image.owner)[limits.SIZE_TOTAL]


def _hard_limit(image: Image) -> int | None:
    return None if _are_soft() else _limit(image)


def _check_soft(image: Image, size: int) -> None:
    """Raise QuotaExceeded if the owner already stores more than a soft limit.

    Does nothing unless IMAGECATALOG_SIZE_LIMITS is ``soft``. ``size`` (bytes) is for the message.
    """
    limit = _limit(image) if _are_soft() else None
    if limit is not None and usage.stored(image.owner) > limit:
        raise exceeded(image, size)


def _are_soft() -> bool:
    return bool(settings.IMAGECATALOG_SIZE_LIMITS == "soft")


def _granted(
    image: Image, least: int, most: int, transfer: Transfer | None = None
) -> int | None:
    """Return the number of bytes that a transfer of the image is allowed to reserve in total.

    The result is between ``least`` and ``most``, or None if not even ``least`` bytes fit.
    """
    lock_project(image.owner)
    left = _left(image, usage.RESERVED, transfer)
    if left is None:
        return most
    if least > left:
        return None
    return min(most, least + (left - least) // SHARE)


def _left(
    image: Image, reserved: F | Coalesce, transfer: Transfer | None
) -> int | None:
    """Return how many bytes of the owner's quota are free for ``transfer``; None: no quota.

    These bytes are not free: stored copies; reservations of transfers for the owner's other
    images, and of copies of this image to further stores, except for the reservation of
    ``transfer``; partial data of deleted images until it is removed. ``reserved`` is the
    expression for the reserved bytes of a transfer.
    """
    left = remaining(image)
    if left is None:
        return None
    others = usage.reserving_transfers().filter(image__owner=image.owner)
    # Of several transfers of one image only copies to further stores add up.
    others = others.exclude(~Q(kind=TransferKind.IMAGE_COPY), image=image)
    if transfer is not None:
        others = others.exclude(pk=transfer.pk)
    return left - int(others.aggregate(total=Sum(reserved))["total"] or 0)


def lock_project(owner: str | None) -> None:
    """Lock the quotas of a project until the transaction ends."""
    if connection.vendor == "postgresql":  # SQLite allows one writer at a time
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, hashtext(%s))",
                [LOCK, owner or ""],
            )
