"""Which images wait for data although a transfer was to bring it: their last transfer has failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from django.db.models import OuterRef, Subquery

from images import errors
from images.models import Image, Status, Transfer, TransferStatus


def last_ended(newest: Sequence[Transfer]) -> Transfer | None:
    """Return the transfer of an image that ended last; None while one is open. No queries.

    ``newest`` are the newest transfers of the image.
    """
    if any(it.is_open for it in newest):
        return None
    ended = [it for it in newest if it.ended_at]
    return max(ended, key=attrgetter("ended_at"), default=None)


def last_failed(newest: Sequence[Transfer]) -> Transfer | None:
    """Return the transfer that ``last_ended`` returns if it has failed, otherwise None. No queries."""
    last = last_ended(newest)
    return last if last and last.status == TransferStatus.FAILED else None


def is_failed(image: Image, newest: Sequence[Transfer]) -> bool:
    """Return whether an image is queued because its last transfer, of ``newest``, failed. No queries."""
    last = last_failed(newest) if image.status == Status.QUEUED else None
    return last is not None and last.error_code != errors.Gone.code


def failed_ids(ids: Iterable[str]) -> set[str]:
    """Return the ids of those images that are queued because their last transfer failed. One query.

    Transfers that a user has cancelled do not count.
    """
    newest = Transfer.objects.filter(image=OuterRef("pk")).order_by(
        "-started_at", "-pk"
    )
    queued = Image.objects.filter(pk__in=list(ids), status=Status.QUEUED)
    last = queued.annotate(
        last_status=Subquery(newest.values("status")[:1]),
        last_code=Subquery(newest.values("error_code")[:1]),
    )
    failed = last.filter(last_status=TransferStatus.FAILED)
    return set(failed.exclude(last_code=errors.Gone.code).values_list("pk", flat=True))
