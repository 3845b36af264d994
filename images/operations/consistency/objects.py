"""Comparison of the objects in the stores with the rows that name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from django.db.models import Count, QuerySet

from images import errors, stores
from images.models import ImageLocation
from images.models.location import MISSING
from images.operations import repair
from images.operations.consistency.data_checks import (
    COLUMNS,
    LIVE,
    NEEDED,
    Copy,
    Through,
    damage,
    wrong_size,
)
from images.operations.consistency.finding import Finding, batches
from images.operations.consistency.store_listing import Listing
from images.stores.circuit_breaker import CircuitBreaker
from images.units import counted

Listed = Callable[[Iterable[tuple[str, int]]], Iterable[tuple[str, int]]]


def in_store(
    store: stores.Store, listed: Listed, through: Through | None
) -> Iterator[Finding]:
    """Yield findings for the missing, damaged and orphaned objects of one store.

    The listing of the store passes through ``listed``, and the blocks of copies pass through
    ``through``; without ``through`` no copy is read.

    The store is listed before the rows are read: an object is always written after its row, so
    that the object of a running upload never counts as orphaned.
    """
    with closing(Listing()) as listing:
        try:
            listing.fill(listed(store.keys()))
            yield from _wrong_copies(store, listing, through)
            yield from _orphans(store, listing)
        except errors.StoreError as error:
            yield Finding("store-unreachable", error.for_operator(), store=store.id)


Wrong = tuple[Copy, str, str]  # with the kind of finding and the message


def _wrong_copies(
    store: stores.Store, listing: Listing, through: Through | None
) -> Iterator[Finding]:
    live = ImageLocation.objects.filter(LIVE, store=store.id)
    for page in batches(live, *COLUMNS):
        sizes = listing.take([row["key"] for row in page])
        needed = _needed([row["pk"] for row in page])
        copies = [copy for copy in map(Copy.of, page) if copy.location in needed]
        wrong = _wrong_of(copies, store, sizes, through)
        # Reading takes long, so each finding is then reported before the end of the page.
        for group in ([entry] for entry in wrong) if through else [list(wrong)]:
            yield from _still_needed(group)


def _wrong_of(
    copies: list[Copy],
    store: stores.Store,
    sizes: dict[str, int],
    through: Through | None,
) -> Iterator[Wrong]:
    breaker = CircuitBreaker()
    for copy in copies:
        try:
            wrong = _wrong(copy, store, sizes.get(copy.key), through)
        except errors.DataMissing:
            wrong = MISSING, "the store does not have its bytes"
        except errors.StoreError as error:
            breaker.failed(store.id)
            if breaker.is_open(store.id):
                raise
            wrong = "store-unreachable", error.for_operator()
        else:
            breaker.succeeded(store.id)
        if wrong:
            yield copy, *wrong


def _still_needed(wrong: list[Wrong]) -> Iterator[Finding]:
    # A location that was removed from its image meanwhile is no finding.
    needed = _needed([copy.location for copy, *_ in wrong]) if wrong else set()
    for copy, kind, message in wrong:
        if copy.location in needed:
            yield _about(copy, kind, message)


def _needed(locations: list[int]) -> set[int]:
    return set(needed_of(locations).values_list("pk", flat=True))


def needed_of(locations: list[int]) -> QuerySet[ImageLocation]:
    """Return the locations with these primary keys, without locations that no image needs any more."""
    # With a plain list SQLite begins with all images and tries the whole list for each of them.
    listed = ImageLocation.objects.filter(pk__in=locations)
    return ImageLocation.objects.filter(NEEDED, pk__in=listed)


def _wrong(
    copy: Copy, store: stores.Store, size: int | None, through: Through | None
) -> tuple[str, str] | None:
    if size is None:  # the object may be newer than the listing
        size = store.size(copy.key)
    if copy.size not in (None, size):
        return wrong_size(size, copy.size)
    return damage(copy, through) if through else None


def _orphans(store: stores.Store, listing: Listing) -> Iterator[Finding]:
    for batch in listing.left():
        owned = repair.owned_keys(batch)
        for key, size in batch.items():
            if key in owned or _is_missing(store, key):
                continue
            image_id = repair.image_id_of_key(key)
            whose = "" if image_id else "; not of this catalogue"
            yield Finding(
                "orphan-bytes",
                f"orphaned object of {size} bytes{whose}",
                image_id,
                store.id,
                key,
                size,
            )


def _is_missing(store: stores.Store, key: str) -> bool:
    try:
        store.size(key)
    except errors.DataMissing:
        return True
    return False


def in_unlisted_stores(through: Through | None) -> Iterator[Finding]:
    """Yield findings for copies in stores that cannot be listed: ``http`` and unknown stores.

    The blocks of copies pass through ``through``; without it no copy is read.
    """
    known = {store.id for store in stores.configured()}
    unlisted = ImageLocation.objects.filter(LIVE).exclude(store__in=known)
    by_store = unlisted.values("store").annotate(copies=Count("pk"))
    for row in by_store.order_by("store"):
        if row["store"] != stores.HTTP.id:
            yield Finding(
                "store-unreachable",
                f"{counted(row['copies'], 'copy', 'copies')} in this store, which is not configured",
                store=row["store"],
            )
    if through:
        yield from at_urls(through)


def at_urls(through: Through) -> Iterator[Finding]:
    """Read all copies in the store ``http`` and yield findings; its objects cannot be listed.

    The blocks of copies pass ``through``, which can report progress.
    """
    located = ImageLocation.objects.filter(NEEDED, store=stores.HTTP.id)
    for page in batches(located, *COLUMNS):
        for copy in map(Copy.of, page):
            try:
                wrong = damage(copy, through)
            except errors.DataMissing:
                wrong = MISSING, "the web server does not have its bytes"
            except (errors.StoreError, errors.Invalid) as error:
                wrong = "store-unreachable", error.for_operator()
            if wrong and copy.is_needed():
                yield _about(copy, *wrong)


def _about(copy: Copy, kind: str, message: str) -> Finding:
    return Finding(kind, message, copy.image_id, copy.store, copy.key, copy.size)
