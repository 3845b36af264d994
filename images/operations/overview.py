"""The overview: counts over the whole catalogue, and every detail of one image."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet, Sum
from django.utils import timezone

from images import errors, history, lifecycle, pause
from images.duty import Duty
from images.models import (
    TRANSIENT_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Statistics,
    Status,
    Transfer,
    TransferStatus,
    UploadChunk,
    ownerless,
)
from images.operations import manual_transitions
from images.transfers import reaper, usage

WITHOUT_DATA = (Status.QUEUED, Status.KILLED)

# Next steps of the life cycle that no operator triggers.
ELSEWHERE = {
    Status.QUEUED: (
        "saving (an upload, or a web download)",
        "uploading (a resumable upload, or data is staged)",
        "importing (an import from a URL, or the data at a new location is checked)",
        "active (a location is added)",
    ),
    Status.SAVING: ("active (the data has arrived)",),
    Status.IMPORTING: (
        "active (the data has arrived)",
        "uploading (a store failed, and staged data is kept)",
    ),
    Status.UPLOADING: ("importing (the import begins)",),
    Status.ACTIVE: ("queued (the last location is removed)",),
}

LARGEST = 10  # projects that the admin lists with their bytes
QUICK = 0.05  # seconds; a catalogue counted faster is counted on every request
RECOUNT = 60.0  # seconds
FORGET = 600.0  # seconds; an older count means that no background worker runs


@dataclass(frozen=True)
class History:
    """A selection of an image's events to show: filters, and how many of the newest events."""

    actor: str | None = None
    interface: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 20


def catalogue_overview() -> dict[str, Any]:
    """Return counts over the whole catalogue, in a number of queries independent of its size.

    ``stuck``, ``ownerless`` (stuck images without a running transfer) and ``failed_last_24h``
    are numbers of images.
    """
    return {
        "images": _by_status(),
        "purged": Image.objects.filter(purged=True).count(),
        "stuck": Image.objects.filter(stuck()).count(),
        "ownerless": Image.objects.filter(ownerless()).count(),
        "failed_last_24h": Image.objects.filter(failed_lately()).count(),
        "damaged": Image.objects.filter(damaged()).count(),
        "trash": _trash(),
        "stores": _stores(),
        "to_remove": _to_remove(),
        "paused": pause.current(),
    }


def _by_status() -> dict[str, int]:
    counts = dict.fromkeys(Status.values, 0)
    rows = Image.objects.values_list("status").annotate(count=Count("pk"))
    return counts | dict(rows.order_by())


def stuck() -> Q:
    """Return the query condition for stuck images: in a transient status, without a live transfer.

    The transient statuses are saving, uploading and importing. The image's transfer is dead, or
    it has none.
    """
    dead = [transfer.image_id for transfer, _ in reaper.dead_transfers()]
    return ownerless() | Q(status__in=TRANSIENT_STATUSES, pk__in=dead)


def failed(since: datetime | None = None) -> Q:
    """Return the query condition for images without data that have a failed transfer.

    With ``since`` the transfer must have failed at that time or later. Transfers that were
    ended manually, or by a deletion, do not count.
    """
    attempts = failures()
    if since is not None:
        attempts = attempts.filter(ended_at__gte=since)
    return Q(status__in=WITHOUT_DATA, pk__in=attempts.values("image"))


def failures() -> QuerySet[Transfer]:
    """Return the failed transfers, without those that were ended manually, or by a deletion."""
    attempts = Transfer.objects.filter(status=TransferStatus.FAILED)
    return attempts.exclude(error_code=errors.Gone.code)


def failed_lately() -> Q:
    """Return the query condition for images without data whose transfer failed within 24 hours."""
    return failed(timezone.now() - timedelta(hours=24))


def damaged() -> Q:
    """Return the query condition for images with a copy that was damaged when it was last read."""
    return Q(deleted_at=None, pk__in=ImageLocation.objects.damaged().values("image"))


def statistics() -> dict[str, Any]:
    """Return counts: images by status, objects and bytes by store and project, and the trash.

    ``taken_at`` is the time of counting. A large catalogue is counted by the background
    worker from time to time; then this function needs one query.
    """
    last = Statistics.objects.first()
    if last and last.seconds > QUICK and _age(last) < FORGET:
        return _as_dict(last)
    return _as_dict(_count())


def recount() -> None:
    """Count a large catalogue again and store the counts, if the last count is old enough.

    It is old enough after 60 seconds, or after 20 times the duration of the count if that is
    longer: so counting takes at most a twentieth of the time.
    """
    last = Statistics.objects.first()
    if last and last.seconds > QUICK and _age(last) > max(RECOUNT, last.seconds * 20):
        _count()


def _age(statistics: Statistics) -> float:
    return (timezone.now() - statistics.taken_at).total_seconds()


def _as_dict(statistics: Statistics) -> dict[str, Any]:
    return {**statistics.counts, "taken_at": statistics.taken_at}


def _count() -> Statistics:
    begin = time.monotonic()
    counts = {
        "images": _by_status(),
        "stores": _stores(),
        "trash": _trash_size(),
        "projects": _projects(),
    }
    seconds = time.monotonic() - begin
    statistics = Statistics(
        pk=1, taken_at=timezone.now(), seconds=seconds, counts=counts
    )
    if seconds > QUICK:
        Statistics.objects.update_or_create(
            pk=1,
            defaults={
                "taken_at": statistics.taken_at,
                "seconds": seconds,
                "counts": counts,
            },
        )
    return statistics


def _trash() -> dict[str, Any]:
    totals = Image.objects.in_trash().aggregate(
        images=Count("pk"), bytes=Sum("size"), first=Min("deleted_at")
    )
    return {
        "images": totals["images"],
        "bytes": totals["bytes"] or 0,
        "next_scrub": _scrub_at(totals["first"]),
    }


def _trash_size() -> dict[str, int]:
    count, size = lifecycle.trash_total()
    return {"images": count, "bytes": size}


def next_scrub() -> datetime | None:
    """Return when the oldest image in the trash is to be deleted permanently; None: empty trash."""
    trash = Image.objects.in_trash()
    return _scrub_at(trash.aggregate(first=Min("deleted_at"))["first"])


def scrub_at(image: Image) -> datetime | None:
    """Return when an image in the trash is to be deleted permanently; None for any other image."""
    in_trash = image.status == Status.PENDING_DELETE
    return _scrub_at(image.deleted_at) if in_trash else None


def _scrub_at(deleted_at: datetime | None) -> datetime | None:
    return lifecycle.scrub_at(deleted_at) if deleted_at else None


def _stores() -> dict[str, dict[str, int]]:
    locations = ImageLocation.objects.exclude(status=LocationStatus.DELETED)
    rows = locations.values_list("store").annotate(
        count=Count("pk"), bytes=Sum("image__size")
    )
    return {
        store: {"objects": count, "bytes": size or 0}
        for store, count, size in rows.order_by("store")
    }


def _projects() -> list[dict[str, Any]]:
    """Return the ten projects that use the most bytes, each with its bytes by kind.

    The kinds are ``used`` (by active copies), ``reserved``, ``chunks`` and ``trash``. If the metrics
    show projects (IMAGECATALOG_METRICS_PROJECTS), there are as many, and each has its number of
    ``images``.
    """
    locations = ImageLocation.objects.all()
    totals = {
        "used": usage.by_owner(
            locations.filter(status=LocationStatus.ACTIVE), "image__size"
        ),
        "reserved": usage.by_owner(usage.reserving_transfers(), usage.RESERVED),
        "chunks": usage.by_owner(UploadChunk.objects.all(), "size", "transfer__image"),
        "trash": usage.by_owner(
            locations.filter(status=LocationStatus.PENDING_DELETE), "image__size"
        ),
    }
    overall = sum(map(Counter, totals.values()), Counter[str | None]())
    in_metrics = settings.IMAGECATALOG_METRICS_PROJECTS
    if in_metrics:
        owners = Image.objects.existing().values_list("owner").order_by()
        totals["images"] = dict(owners.annotate(count=Count("pk")))
    return [
        {"project": owner}
        | {name: total.get(owner, 0) for name, total in totals.items()}
        for owner, _total in overall.most_common(max(LARGEST, in_metrics))
    ]


def _to_remove() -> dict[str, int]:
    return {
        "locations": lifecycle.overdue_count(),
        "transfers": reaper.unclean_count(),
    }


def image_overview(image_id: str, shown: History) -> dict[str, Any] | None:
    """Return all details of one image, also a deleted one; None: no image has this id.

    ``shown`` selects the events.
    """
    image = Image.objects.filter(pk=image_id).first()
    if image is None:
        return None
    events = history.newest(
        image_id,
        actor=shown.actor,
        interface=shown.interface,
        since=shown.since,
        until=shown.until,
        limit=shown.limit,
    ).events
    return {
        "id": image.pk,
        "name": image.name,
        "owner": image.owner,
        "visibility": image.visibility,
        "status": image.status,
        "protected": image.protected,
        "purged": image.purged,
        "size": image.size,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "created_at": image.created_at,
        "updated_at": image.updated_at,
        "deleted_at": image.deleted_at,
        "scrub_at": scrub_at(image),
        "moves": manual_transitions.possible_transitions(image_id),
        "elsewhere": list(ELSEWHERE.get(Status(image.status), ())),
        "locations": _locations(image),
        "transfers": _transfers(image),
        "last_error": history.last_error(image_id),
        "history": events,
    }


def _locations(image: Image) -> list[dict[str, Any]]:
    columns = (
        "store",
        "key",
        "status",
        "created_at",
        "delete_after",
        "delete_attempts",
        "verified_at",
        "damage",
    )
    return list(image.locations.order_by("pk").values(*columns))


def _transfers(image: Image) -> list[dict[str, Any]]:
    columns = (
        "id",
        "kind",
        "status",
        "store",
        "worker",
        "bytes_received",
        "bytes_expected",
        "started_at",
        "heartbeat_at",
        "deadline",
        "ended_at",
        "cleaned",
        "error_code",
        "error",
        "request_id",
    )
    newest = image.transfers.order_by("-started_at", "-pk").values(*columns)[:10]
    return list(newest)[::-1]


DUTIES = (Duty("count the catalogue", recount, may_block=True, when_paused=True),)
