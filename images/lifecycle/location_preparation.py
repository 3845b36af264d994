"""Requested changes of locations, and the checks of the data at their URLs.

The checks run before any lock is taken, because they read from external web servers.
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
NEEDED = {"os_hash_algo", "os_hash_value"}  # of validation_data, when there is any
# An image's digest is one of these.
ALGORITHMS = ("md5", "sha256", "sha384", "sha512")


@dataclass(frozen=True)
class AddLocation:
    """A requested change: add a location at a URL.

    ``validation`` has claimed digests under the names checksum, os_hash_algo, os_hash_value.
    ``only``: the location must make a queued image active; ``size`` and ``checksum`` are then
    claims about its data.
    ``to_active``: the caller has permission to add a further copy to an active image.
    """

    url: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    validation: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None  # bytes
    checksum: str | None = None  # MD5, hexadecimal
    only: bool = False
    to_active: bool = True
    # Both are set by prepare(); the second is of the first copy, if that has no digests.
    facts: DataFacts | None = None
    first_facts: DataFacts | None = None

    @classmethod
    def parse(cls, value: object) -> AddLocation:
        """Parse ``{"url", "metadata"?, "validation_data"?}``.

        Raises Invalid if it is malformed, Conflict for a malformed digest or unknown
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
        """Return this location as the only one of an image, with claims about its data."""
        return replace(self, size=size, checksum=checksum, only=True)


@dataclass(frozen=True)
class RemoveLocation:
    """A requested change: remove the location with this primary key."""

    location_id: int
    facts: DataFacts | None = None  # set by prepare(), of data without digests


@dataclass(frozen=True)
class RemoveLocationAt:
    """A requested change: remove the location at this index.

    The index counts the locations as they are after the changes before this one.
    """

    index: int
    facts: DataFacts | None = None  # as in RemoveLocation


@dataclass(frozen=True)
class ReplaceLocations:
    """A requested change: replace all locations of the image by these."""

    locations: tuple[AddLocation, ...]
    facts: DataFacts | None = None  # as in RemoveLocation

    @classmethod
    def parse(cls, value: object) -> ReplaceLocations:
        """Parse a list of locations as clients send it.

        Raises Invalid or Conflict for a malformed one, OverLimit for too many.
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
    ``changes`` are attributes changed by the same request, which apply first. Raises Invalid
    for a URL that is refused or cannot be read, and when all this takes too long,
    AlreadyBegun, Conflict, and the errors of checks that an upload must pass too.
    """
    if not location_changes:
        return []
    # Checked before any URL is read: one request must not cause thousands.
    attributes.check_location_count(sum(map(_count_urls, location_changes)))
    image = Image.objects.existing().filter(pk=image_id).first()
    if image is None or image.status not in (Status.QUEUED, Status.ACTIVE):
        # Refused under the lock, or the client tries again.
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
    """Raise Conflict if the digest given with a location is not of the image's algorithm."""
    algorithm = hash_algorithm(image)
    if location.validation.get("os_hash_algo", algorithm) != algorithm:
        raise errors.Conflict(f"os_hash_algo must be {algorithm} here.")


def check_url_length(url: str) -> None:
    """Raise Invalid if the URL of a location has more than MAX_URL characters."""
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

    The data is read and checked unless the owner's claims are trusted. Raises Invalid,
    Conflict and the errors of the checks; ``deadline`` is a time of the monotonic clock.
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
    """Return whether the data must match digests that the caller cannot freely choose.

    They are those of the image's earlier data.
    """
    if location.validation and not image.pinned:
        return False
    return bool(image.checksum or location.validation)


def read_checked(image: Image, location: AddLocation, deadline: float) -> DataFacts:
    """Read the data at a location's URL, check it like an upload; return its size and digests.

    Stores nothing. Raises Invalid also when the data cannot be read before ``deadline``
    (monotonic clock), and the errors of the checks.
    """
    room = quota.remaining(image)
    db.release_connection()
    with _unreadable(), closing(stores.HTTP.open(location.url)) as blocks:
        in_time = _in_time(blocks, deadline)
        return CheckedData(image, in_time, room=room, checksum=location.checksum).read()


def trusts_owners() -> bool:
    """Whether IMAGECATALOG_LOCATION_DATA trusts an owner's claims about the data at a URL."""
    return bool(settings.IMAGECATALOG_LOCATION_DATA == "trust")


def _undigested(image: Image, deadline: float) -> DataFacts | None:
    """Read the data of an image whose only copy is at a URL and that has no digests yet.

    Returns the size and digests of the data; None for any other image. ``deadline`` is a time
    of the monotonic clock.
    """
    locations = image.locations.filter(status=LocationStatus.ACTIVE, store=URL_STORE)
    if image.checksum or len(locations) != 1:
        return None
    return _digested(image, locations[0].key, deadline)


def _digested(image: Image, url: str, deadline: float) -> DataFacts:
    """Read data at a URL that the image has already, without inspecting its format.

    Returns its size and digests. Raises Invalid if it cannot be read before ``deadline``
    (monotonic clock), OverLimit if it is too large.
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
