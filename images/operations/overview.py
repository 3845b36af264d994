"""What people are told of the catalogue: the whole of it in a few queries, and one image in full."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, Sum
from django.utils import timezone

from images import errors, history, lifecycle
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
    ownerless,
)
from images.operations import manual_transitions
from images.transfers import reaper

WITHOUT_DATA = (Status.QUEUED, Status.KILLED)

# The ways on that are no operator's verb.
ELSEWHERE = {
    Status.QUEUED: (
        "saving (an upload, or a copy)",
        "uploading (an upload that may pause)",
        "active (a location is added)",
    ),
    Status.SAVING: ("active (the data has arrived)",),
    Status.IMPORTING: ("active (the data has arrived)",),
    Status.UPLOADING: ("importing (the import begins)",),
    Status.ACTIVE: ("queued (the last location is removed)",),
}

QUICK = 0.05  # s; a catalogue that is counted so fast is counted each time
RECOUNT = 60.0  # s
FORGET = 600.0  # s; then the background worker must be away


@dataclass(frozen=True)
class History:
    """Which events of an image are shown."""

    actor: str | None = None
    interface: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 20


def of_catalogue() -> dict[str, Any]:
    """Counts over the whole catalogue. The number of queries does not depend on its size.

    ``stuck`` and ``failed_last_24h`` are images, as in the admin; ``ownerless`` are among the stuck.
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
    }


def _by_status() -> dict[str, int]:
    counts = dict.fromkeys(Status.values, 0)
    rows = Image.objects.values_list("status").annotate(count=Count("pk"))
    return counts | dict(rows.order_by())


def stuck() -> Q:
    """The condition for images that wait for data although nobody alive brings any."""
    dead = [transfer.image_id for transfer, _ in reaper.expired()]
    return ownerless() | Q(status__in=TRANSIENT_STATUSES, pk__in=dead)


def failed(since: datetime | None = None) -> Q:
    """The condition for images without data whose transfer failed, since then or ever."""
    attempts = Transfer.objects.filter(status=TransferStatus.FAILED)
    # That an image was deleted, or a transfer ended by hand, is nobody's failure.
    attempts = attempts.exclude(error_code=errors.Gone.code)
    if since is not None:
        attempts = attempts.filter(ended_at__gte=since)
    return Q(status__in=WITHOUT_DATA, pk__in=attempts.values("image"))


def failed_lately() -> Q:
    """The condition for images without data whose transfer failed in the last 24 hours."""
    return failed(timezone.now() - timedelta(hours=24))


def damaged() -> Q:
    """The condition for images of which a copy was found damaged when it was read last."""
    return Q(deleted_at=None, pk__in=ImageLocation.objects.damaged().values("image"))


def statistics() -> dict[str, Any]:
    """How many images have each status, objects and bytes by store, the trash, ``taken_at``.

    A catalogue that is large is counted by the background worker, see ``recount``; then
    this is one query.
    """
    last = Statistics.objects.first()
    if last and last.seconds > QUICK and _age(last) < FORGET:
        return _told(last)
    return _told(_count())


def recount() -> None:
    """Count a large catalogue again when it is time; no more than a twentieth of the time."""
    last = Statistics.objects.first()
    if last and last.seconds > QUICK and _age(last) > max(RECOUNT, last.seconds * 20):
        _count()


def _age(statistics: Statistics) -> float:
    return (timezone.now() - statistics.taken_at).total_seconds()


def _told(statistics: Statistics) -> dict[str, Any]:
    return {**statistics.counts, "taken_at": statistics.taken_at}


def _count() -> Statistics:
    begin = time.monotonic()
    counts = {"images": _by_status(), "stores": _stores(), "trash": _trash_size()}
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
    found = Image.objects.in_trash().aggregate(
        images=Count("pk"), bytes=Sum("size"), first=Min("deleted_at")
    )
    return {
        "images": found["images"],
        "bytes": found["bytes"] or 0,
        "next_scrub": _scrub_at(found["first"]),
    }


def _trash_size() -> dict[str, int]:
    count, size = lifecycle.trash_total()
    return {"images": count, "bytes": size}


def next_scrub() -> datetime | None:
    """When the oldest image of the trash goes for good; None: the trash is empty."""
    trash = Image.objects.in_trash()
    return _scrub_at(trash.aggregate(first=Min("deleted_at"))["first"])


def scrub_at(image: Image) -> datetime | None:
    """When this image goes for good; None: it is not in the trash."""
    in_trash = image.status == Status.PENDING_DELETE
    return _scrub_at(image.deleted_at) if in_trash else None


def _scrub_at(deleted_at: datetime | None) -> datetime | None:
    return lifecycle.scrub_at(deleted_at) if deleted_at else None


def _stores() -> dict[str, dict[str, int]]:
    held = ImageLocation.objects.exclude(status=LocationStatus.DELETED)
    rows = held.values_list("store").annotate(
        count=Count("pk"), bytes=Sum("image__size")
    )
    return {
        store: {"objects": count, "bytes": size or 0}
        for store, count, size in rows.order_by("store")
    }


def _to_remove() -> dict[str, int]:
    return {
        "locations": lifecycle.late_total(),
        "transfers": Transfer.objects.unclean().count(),
    }


def of_image(image_id: str, shown: History) -> dict[str, Any] | None:
    """All about one image, also a deleted one; None: there is none of this id."""
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
    )
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
        "moves": manual_transitions.possible_moves(image_id),
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


DUTIES = (Duty("count the catalogue", recount),)
