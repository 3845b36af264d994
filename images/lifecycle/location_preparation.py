"""Requested changes of locations, and the checks of the data at their URLs.

The checks run before the image's row is locked, because they read from external web servers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from django.conf import settings

from images import attributes, db, errors, stores
from images.attributes import Changes
from images.expected_digests import HEX_DIGITS, is_digest
from images.lifecycle.changes import preview
from images.lifecycle.checked_data import (
    CheckedData,
    DataFacts,
    check_ready,
    check_size_cap,
    hash_algorithm,
)
from images.models import Image, LocationStatus, Status
from images.stores import url_filter
from images.stores.digests import Digests, digesting
from images.transfers import concurrency, quota

# Locations can be added only in this store: keys of other stores belong to other images.
URL_STORE = stores.HTTP.id
MAX_URL = 255  # characters
MAX_METADATA = 4096  # bytes of JSON
READ_SECONDS = 600.0  # for reading the data at all URLs of one request
NEEDED = {"os_hash_algo", "os_hash_value"}  # in validation_data, if not empty
# The algorithms that an image's digest can have.
ALGORITHMS = ("md5", "sha256", "sha384", "sha512")


@dataclass(frozen=True)
class AddLocation:
    """A requested change of an image: add a location at a URL.

    ``validation`` has claimed digests under the names checksum, os_hash_algo, os_hash_value.
    With ``only`` the image must be queued, and the location makes it active; ``size`` and
    ``checksum`` are then claims about its data. ``to_active`` says that the caller has
    permission to add a further copy to an active image.
    """

    url: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    validation: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None  # bytes
    checksum: str | None = None  # MD5, hexadecimal
    only: bool = False
    to_active: bool = True
    # prepare() sets both. The second are facts of the first copy, if the image has no digests.
    facts: DataFacts | None = None
    first_facts: DataFacts | None = None

    @classmethod
    def parse(cls, value: object) -> AddLocation:
        """Parse the JSON object of a location: ``{"url", "metadata"?, "validation_data"?}``.

        Raises Invalid if the object is malformed, Conflict for a malformed digest or an unknown
        algorithm.
        """
        if not isinstance(value, dict) or not isinstance(value.get("url"), str):
            raise errors.Invalid("A location is an object with a 'url' and 'metadata'.")
        unknown = set(value) - {"url", "metadata", "validation_data"}
        if unknown:
            raise errors.Invalid("A location has only url, metadata, validation_data.")
        metadata = value.get("metadata", {})
        if not isinstance(metadata, dict):
            raise errors.Invalid("The metadata of a location must be an object.")
        check_url_length(value["url"])
        _check_metadata(metadata)
        validation = _parse_validation(value.get("validation_data") or {})
        return cls(value["url"], metadata, validation)

    def as_only(self, size: int | None, checksum: str | None = None) -> AddLocation:
        """Return this change with ``only`` set, and with the claimed size (bytes) and MD5 of the data."""
        return replace(self, size=size, checksum=checksum, only=True)


@dataclass(frozen=True)
class RemoveLocation:
    """A requested change of an image: remove the location with this primary key."""

    location_id: int
    facts: DataFacts | None = None  # set by prepare(), if the image has no digests


@dataclass(frozen=True)
class RemoveLocationAt:
    """A requested change of an image: remove the location at this index, counted from 0.

    The index counts the locations that the image has after the earlier changes of the request.
    """

    index: int
    facts: DataFacts | None = None  # as in RemoveLocation


@dataclass(frozen=True)
class ReplaceLocations:
    """A requested change of an image: replace all its locations by the given ones."""

    locations: tuple[AddLocation, ...]
    facts: DataFacts | None = None  # as in RemoveLocation

    @classmethod
    def parse(cls, value: object) -> ReplaceLocations:
        """Parse the JSON list of locations that a client sends.

        Raises Invalid or Conflict for a malformed location, OverLimit for too many locations.
        """
        if not isinstance(value, list):
            raise errors.Invalid("Locations must be a list.")
        attributes.check_location_count(len(value))
        return cls(tuple(map(AddLocation.parse, value)))


Removal = RemoveLocation | RemoveLocationAt
LocationChange = AddLocation | Removal | ReplaceLocations


def prepare(
    image_id: str,
    location_changes: Sequence[LocationChange],
    changes: Changes | None = None,
) -> list[LocationChange]:
    """Read and check the data at the URLs of requested changes; return the changes with facts.

    The facts are the sizes and digests of the data. Takes no lock and writes nothing.
    ``changes`` are attributes that the same request changes before. An image that is neither
    queued nor active is not checked here: ``apply`` refuses it. Raises Invalid for a URL that
    is refused or cannot be read, and when reading takes too long, Conflict, OverLimit, and the
    errors of the checks that an upload must pass too.
    """
    if not location_changes:
        return []
    # Checked before any URL is read: one request must not cause thousands of reads.
    attributes.check_location_count(sum(map(_count_urls, location_changes)))
    image = Image.objects.existing().filter(pk=image_id).first()
    if image is None or image.status not in (Status.QUEUED, Status.ACTIVE):
        # apply() refuses the changes under the lock.
        return list(location_changes)
    if changes:
        preview(image, changes)
    db.release_connection()
    with concurrency.slot(concurrency.READS):
        deadline = time.monotonic() + READ_SECONDS
        return [_prepared(image, change, deadline) for change in location_changes]


def prepare_first(image: Image, location: AddLocation) -> AddLocation:
    """Read and check the data at the location of a new image; return the location with facts.

    The facts are the size and digests of the data. Writes nothing. Raises the errors of
    ``prepare``.
    """
    db.release_connection()
    with concurrency.slot(concurrency.READS):
        deadline = time.monotonic() + READ_SECONDS
        return replace(location, facts=_facts(image, location, deadline))


def check_claimed_size(location: AddLocation, size: int) -> None:
    """Raise Conflict if the claimed size of the data at a URL differs from ``size`` (bytes)."""
    if location.size not in (None, size):
        raise errors.Conflict(
            "Provided image size must match the stored image size. "
            f"(provided size: {location.size}, stored size: {size})"
        )


def check_claimed_algorithm(image: Image, location: AddLocation) -> None:
    """Raise Conflict if the claimed digest of a location is not by the image's hash algorithm."""
    algorithm = hash_algorithm(image)
    if location.validation.get("os_hash_algo", algorithm) != algorithm:
        raise errors.Conflict(f"os_hash_algo must be {algorithm} here.")


def check_url_length(url: str) -> None:
    """Raise Invalid if the URL of a location has more than 255 characters."""
    if len(url) > MAX_URL:
        raise errors.Invalid(f"A location URL must have at most {MAX_URL} characters.")


def _count_urls(change: LocationChange) -> int:
    if isinstance(change, ReplaceLocations):
        return len(change.locations)
    return int(isinstance(change, AddLocation))


def _prepared(image: Image, change: LocationChange, deadline: float) -> LocationChange:
    if isinstance(change, AddLocation):
        if change.only and image.status == Status.ACTIVE:
            return change  # refused under the lock
        facts = _facts(image, change, deadline)
        further = image.status == Status.ACTIVE and not trusts_owners()
        first_facts = _undigested(image, deadline) if further else None
        return replace(change, facts=facts, first_facts=first_facts)
    if isinstance(change, ReplaceLocations) and image.status == Status.QUEUED:
        located = tuple(
            replace(location, facts=_facts(image, location, deadline))
            for location in change.locations
        )
        return ReplaceLocations(located)
    if isinstance(change, Removal) or not change.locations:
        return replace(change, facts=_undigested(image, deadline))
    return change


def _facts(image: Image, location: AddLocation, deadline: float) -> DataFacts:
    """Return the size and, if known, the digests of the data at a location's URL.

    The data is read and checked unless the owner's claims are trusted. ``deadline`` is a time
    of the monotonic clock in seconds. Raises Invalid, Conflict and the errors of the checks.
    """
    _check_time(deadline)
    check_ready(image)
    check_claimed_algorithm(image, location)
    url_filter.check(location.url)
    if location.size is not None:  # a wrong claim is refused before the data is read
        with suppress(errors.StoreError):
            check_claimed_size(location, stores.HTTP.size(location.url))
    if not trusts_owners() or _has_known_digests(image, location):
        return read_checked(image, location, deadline)
    with _unreadable():
        size = stores.HTTP.size(location.url)
    check_size_cap(size)
    claimed = {} if image.pinned else location.validation
    return DataFacts(
        size, _lower(claimed.get("checksum")), _lower(claimed.get("os_hash_value"))
    )


def _lower(digest: str | None) -> str | None:
    return digest and digest.lower()


def _has_known_digests(image: Image, location: AddLocation) -> bool:
    """Return whether the image has digests of its earlier data, which data at a location must match.

    Digests that the caller itself states with the location count only for a pinned image.
    """
    if location.validation and not image.pinned:
        return False
    return bool(image.checksum or location.validation)


def read_checked(image: Image, location: AddLocation, deadline: float) -> DataFacts:
    """Read the data at a location's URL and check it like an upload; return its size and digests.

    Stores nothing. Raises Invalid if the data cannot be read before ``deadline`` (seconds of
    the monotonic clock), and the errors of the checks.
    """
    room = quota.remaining(image)
    db.release_connection()
    with _unreadable(), closing(stores.HTTP.open(location.url)) as blocks:
        in_time = _in_time(blocks, deadline)
        return CheckedData(image, in_time, room=room, checksum=location.checksum).read()


def trusts_owners() -> bool:
    """Return whether IMAGECATALOG_LOCATION_DATA trusts an owner's claims about the data at a URL."""
    return bool(settings.IMAGECATALOG_LOCATION_DATA == "trust")


def _undigested(image: Image, deadline: float) -> DataFacts | None:
    """Return the size and digests of an image's data if its only copy is at a URL, without digests.

    The data is read to compute them. Returns None for any other image. Raises Invalid if the
    data cannot be read before ``deadline`` (seconds of the monotonic clock), OverLimit if it is
    too large.
    """
    locations = image.locations.filter(status=LocationStatus.ACTIVE, store=URL_STORE)
    if image.checksum or len(locations) != 1:
        return None
    return _digested(image, locations[0].key, deadline)


def _digested(image: Image, url: str, deadline: float) -> DataFacts:
    """Read the data at a URL that is a location of the image; return its size and digests.

    The format of the data is not inspected. Raises Invalid if the data cannot be read before
    ``deadline`` (seconds of the monotonic clock), OverLimit if it is too large.
    """
    algorithm = hash_algorithm(image)
    with (
        _unreadable(),
        closing(stores.HTTP.open(url)) as blocks,
        Digests("md5", algorithm) as digests,
    ):
        for _ in digesting(_in_time(blocks, deadline), digests):
            check_size_cap(digests.size)
        hexdigests = digests.hexdigests()
    return DataFacts(digests.size, hexdigests["md5"], hexdigests[algorithm])


def _in_time(blocks: Iterable[bytes], deadline: float) -> Iterator[bytes]:
    for block in blocks:
        _check_time(deadline)
        yield block


def _check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise errors.Invalid(
            "Invalid location: reading its data takes too long. Upload it instead."
        )


@contextmanager
def _unreadable() -> Iterator[None]:
    try:
        yield
    except errors.StoreError:
        raise errors.Invalid(
            "Invalid location: its data cannot be read. Check the URL."
        ) from None


def _check_metadata(metadata: dict[str, Any]) -> None:
    text = orjson.dumps(metadata)
    if len(text) > MAX_METADATA or b"\\u0000" in text:
        raise errors.Invalid(
            f"The metadata of a location must have at most {MAX_METADATA} bytes and no NUL."
        )


def _parse_validation(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(entry, str) for entry in value.values()
    ):
        raise errors.Invalid("validation_data must be an object of strings.")
    if not value:
        return {}
    if not NEEDED <= set(value) <= NEEDED | {"checksum"}:
        raise errors.Invalid(
            "validation_data must have os_hash_algo and os_hash_value, and can have checksum."
        )
    _check_hex("os_hash_value", value["os_hash_value"], value["os_hash_algo"])
    if "checksum" in value:
        _check_hex("checksum", value["checksum"], "md5")
    return value


def _check_hex(name: str, value: str, kind: str) -> None:
    if kind not in ALGORITHMS:
        raise errors.Conflict(f"os_hash_algo must be one of {', '.join(ALGORITHMS)}.")
    if not is_digest(kind, value):
        raise errors.Conflict(f"{name} must be {HEX_DIGITS[kind]} hexadecimal digits.")
