"""Checks of copies: which copies must exist, and whether their bytes are right."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet

from images import errors, min_rate, stores
from images.lifecycle.checked_data import CheckedData, DataFacts
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
)
from images.operations.consistency.finding import BATCH
from images.stores.digests import Digests, digesting

# Locations that an image needs; the object of a removed location can be deleted at any time.
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
# A web server that sends less on average, in bytes per second, would hold a worker for days.
SLOWEST_SERVER = 1_000_000
REFUSALS = (errors.ContentRefused, errors.Invalid, errors.Conflict, errors.OverLimit)
Blocks = Iterable[bytes]
Through = Callable[[Blocks], Blocks]


@dataclass(frozen=True)
class Copy:
    """A location, and the size and digests that its bytes must have."""

    location: int
    store: str
    key: str
    image_id: str
    size: int | None  # bytes
    digests: dict[str, str]  # algorithm -> hexadecimal
    verified_at: datetime | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Copy:
        """Return the copy that a database row describes: a dict of the location's and image's columns."""
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
        """Return whether the image still needs this copy.

        The database is asked now: call it after the copy was read, before damage is reported.
        """
        return ImageLocation.objects.filter(NEEDED, pk=self.location).exists()


def damage(copy: Copy, through: Through = iter) -> tuple[str, str] | None:
    """Read a copy and compare it: return (kind of finding, message), or None if it is intact.

    The blocks pass ``through``, which can report progress or limit the rate. Reading ends when
    more bytes have come than the copy must have: a web server can send data without end. Raises
    DataMissing if the store does not have the copy, StoreError if the store fails or a web server
    sends less than 1 MB per second, Invalid if the URL is refused.
    """
    blocks = stores.get(copy.store).open(copy.key)
    try:
        with Digests(*copy.digests) as digests:
            for _ in digesting(through(_fast_enough(copy, blocks)), digests):
                if copy.size is not None and digests.size > copy.size:
                    return "wrong-size", f"more than the {copy.size} bytes of the image"
            actual = digests.hexdigests()
    finally:
        blocks.close()
    if copy.size not in (None, digests.size):
        return wrong_size(digests.size, copy.size)
    differing = [name for name, value in copy.digests.items() if actual[name] != value]
    if differing:
        return (
            "wrong-digest",
            f"{' and '.join(differing)} differ: the bytes are not those of the image",
        )
    return None


def examine(
    copy: Copy, through: Through = iter
) -> tuple[tuple[str, str] | None, DataFacts | None]:
    """Read a copy without digests and check it like an upload.

    Returns (damage, facts), one of which is None. Damage is (kind of finding, message); facts
    are the size and the digests of the data. Writes nothing. Raises the errors of ``damage``.
    """
    image = Image.objects.get(pk=copy.image_id)
    blocks = stores.get(copy.store).open(copy.key)
    with closing(blocks):
        try:
            received = through(_fast_enough(copy, blocks))
            data = CheckedData(image, received, expected=copy.size)
            return None, data.read()
        except REFUSALS as refusal:
            return ("refused-data", str(refusal)), None


def _fast_enough(copy: Copy, blocks: Blocks) -> Blocks:
    """Return the blocks; their iteration raises StoreError if a web server sends them too slowly."""
    if copy.store != stores.HTTP.id:
        return blocks
    return min_rate.receive(blocks, _too_slow, min_rate.PAUSE, SLOWEST_SERVER)


def _too_slow() -> errors.StoreError:
    return errors.StoreError(
        "The web server sends the data too slowly to verify it: less than "
        f"{SLOWEST_SERVER} bytes per second."
    )


def wrong_size(actual: int, expected: int | None) -> tuple[str, str]:
    """Return (kind of finding, message) for a copy that has ``actual`` instead of ``expected`` bytes."""
    return "wrong-size", f"{actual} bytes, and should be {expected}"


def rate_limited(blocks: Blocks, rate: float) -> Iterator[bytes]:
    """Yield the blocks at no more than ``rate`` bytes per second."""
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
    """Return the locations that images need and that were not verified since the time ``before``.

    ``ids`` and ``store`` narrow them to these images and to this store.
    """
    locations = ImageLocation.objects.filter(
        NEEDED, Q(verified_at=None) | Q(verified_at__lt=before)
    )
    if ids:
        locations = locations.filter(image__in=list(ids))
    if store:
        locations = locations.filter(store=store)
    return locations


def in_verification_order(locations: QuerySet[ImageLocation]) -> Iterator[Copy]:
    """Yield each location as a copy to verify, the least recently verified one first."""
    oldest = F("verified_at").asc(nulls_first=True)
    ordered = locations.order_by(oldest, "pk").values("pk", *COLUMNS)
    page = list(ordered[:BATCH])
    while page:
        yield from map(Copy.of, page)
        at, pk = page[-1]["verified_at"], page[-1]["pk"]
        later = Q(verified_at=at, pk__gt=pk)
        later |= Q(verified_at__gt=at) if at else Q(verified_at__isnull=False)
        page = list(ordered.filter(later)[:BATCH])
