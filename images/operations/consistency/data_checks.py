"""The copies of the images' data: which there should be, and whether their bytes are the right ones."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet

from images import stores
from images.models import READABLE_STATUSES, ImageLocation, LocationStatus, Status
from images.operations.consistency.finding import BATCH
from images.stores.digests import Digests, digesting

# What an image cannot do without; a copy that was taken from it may be gone at any moment.
NEEDED = Q(status=LocationStatus.ACTIVE, image__status__in=READABLE_STATUSES) | Q(
    status=LocationStatus.PENDING_DELETE,
    delete_after=None,
    image__status=Status.PENDING_DELETE,
)
LIVE = Q(status__in=(LocationStatus.ACTIVE, LocationStatus.PENDING_DELETE))
COLUMNS = (
    "store",
    "key",
    "image_id",
    "image__size",
    "image__checksum",
    "image__os_hash_algo",
    "image__os_hash_value",
    "verified_at",
)
Blocks = Iterable[bytes]
Through = Callable[[Blocks], Blocks]


@dataclass(frozen=True)
class Copy:
    """A location, and what its bytes must be."""

    location: int
    store: str
    key: str
    image_id: str
    size: int | None  # bytes
    digests: dict[str, str]  # algorithm -> hexadecimal
    verified_at: datetime | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Copy:
        """From ``pk`` and COLUMNS."""
        known = {
            "md5": row["image__checksum"],
            row["image__os_hash_algo"]: row["image__os_hash_value"],
        }
        digests = {
            name: value.lower()
            for name, value in known.items()
            if value and name in hashlib.algorithms_guaranteed
        }
        return cls(
            row["pk"],
            row["store"],
            row["key"],
            row["image_id"],
            row["image__size"],
            digests,
            row["verified_at"],
        )

    def is_needed(self) -> bool:
        """Still? Ask it after the bytes were looked at, before anybody is alarmed."""
        return ImageLocation.objects.filter(NEEDED, pk=self.location).exists()


def damage(copy: Copy, through: Through = iter) -> tuple[str, str] | None:
    """Read it all and compare: None, or (kind of finding, what is wrong).

    The blocks pass ``through`` on their way. Raises DataMissing, StoreError, Invalid.
    """
    blocks = stores.get(copy.store).open(copy.key)
    try:
        with Digests(*copy.digests) as digests:
            for _ in through(digesting(blocks, digests)):
                pass
            found = digests.hexdigests()
    finally:
        blocks.close()
    if copy.size not in (None, digests.size):
        return wrong_size(digests.size, copy.size)
    differing = [name for name, value in copy.digests.items() if found[name] != value]
    if differing:
        return (
            "wrong-digest",
            f"{' and '.join(differing)} differ: these are other bytes",
        )
    return None


def wrong_size(found: int, expected: int | None) -> tuple[str, str]:
    """The kind of finding, and the words for it."""
    return "wrong-size", f"{found} bytes, and should be {expected}"


def paced(blocks: Blocks, rate: float) -> Iterator[bytes]:
    """The same blocks, not faster than ``rate`` bytes a second."""
    began, passed = time.monotonic(), 0
    for block in blocks:
        yield block
        passed += len(block)
        ahead = began + passed / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)


def to_verify(
    before: datetime, ids: Sequence[str] = (), store: str | None = None
) -> QuerySet[ImageLocation]:
    """The needed locations that were not verified since ``before``."""
    found = ImageLocation.objects.filter(
        NEEDED, Q(verified_at=None) | Q(verified_at__lt=before)
    )
    if ids:
        found = found.filter(image__in=list(ids))
    if store:
        found = found.filter(store=store)
    return found


def due(locations: QuerySet[ImageLocation]) -> Iterator[Copy]:
    """Each of them once, the one that was not verified for the longest time first."""
    oldest = F("verified_at").asc(nulls_first=True)
    ordered = locations.order_by(oldest, "pk").values("pk", *COLUMNS)
    page = list(ordered[:BATCH])
    while page:
        yield from map(Copy.of, page)
        at, pk = page[-1]["verified_at"], page[-1]["pk"]
        later = Q(verified_at=at, pk__gt=pk)
        later |= Q(verified_at__gt=at) if at else Q(verified_at__isnull=False)
        page = list(ordered.filter(later)[:BATCH])
