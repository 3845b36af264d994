"""Requested changes of locations, and the checks of their URLs.

The checks run before any lock is taken, because they read from external web servers.
"""

from __future__ import annotations

import string
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from django.conf import settings

from images import attributes, db, errors, stores
from images.lifecycle.uploading import check_size_cap
from images.models import Image, LocationStatus, Status
from images.stores import url_filter
from images.stores.digests import Digests, digesting
from images.transfers import concurrency

# Locations can be added only in this store: keys of other stores belong to other images.
URL_STORE = "http"
MAX_URL = 255  # characters
MAX_METADATA = 4096  # bytes of JSON
READ_SECONDS = 600.0  # for reading the data at all URLs of one request
NEEDED = {"os_hash_algo", "os_hash_value"}  # of validation_data, when there is any
HEX_DIGITS = {"md5": 32, "sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True)
class DataFacts:
    """The size of data and, where it was read, its digests."""

    size: int  # bytes
    checksum: str | None = None  # MD5, hexadecimal
    hash_value: str | None = None  # hexadecimal


@dataclass(frozen=True)
class AddLocation:
    """A requested change: add a location at a URL.

    ``validation`` can have checksum, os_hash_algo and os_hash_value.
    ``only``: the location must make a queued image active; ``size`` is then the claimed size.
    ``to_active``: the caller has permission to add a further copy to an active image.
    """

    url: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    validation: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None  # bytes
    only: bool = False
    to_active: bool = True
    # Both are set by prepare(); the second is of the first copy, if that has no digests.
    facts: DataFacts | None = None
    first_facts: DataFacts | None = None

    @classmethod
    def parse(cls, value: object) -> AddLocation:
        """Parse ``{"url", "metadata"?, "validation_data"?}``. Raises Invalid, Conflict."""
        if not isinstance(value, dict) or not isinstance(value.get("url"), str):
            raise errors.Invalid("A location is an object with a 'url' and 'metadata'.")
        unknown = set(value) - {"url", "metadata", "validation_data"}
        if unknown:
            raise errors.Invalid("A location has only url, metadata, validation_data.")
        metadata = value.get("metadata", {})
        if not isinstance(metadata, dict):
            raise errors.Invalid("The metadata of a location must be an object.")
        if len(value["url"]) > MAX_URL:
            raise errors.Invalid(
                f"A location URL must have at most {MAX_URL} characters."
            )
        _check_metadata(metadata)
        validation = _parse_validation(value.get("validation_data") or {})
        return cls(value["url"], metadata, validation)

    def as_only(self, size: int | None) -> AddLocation:
        """Return this location as the only one of an image, with the claimed size in bytes."""
        return replace(self, size=size, only=True)


@dataclass(frozen=True)
class RemoveLocation:
    """A requested change, not yet made: the location with this primary key is removed."""

    location_id: int
    facts: DataFacts | None = None  # set by prepare(), of data without digests


@dataclass(frozen=True)
class RemoveLocationAt:
    """A requested change, not yet made: the location at this index is removed.

    The index counts the locations as they are after the changes before this one.
    """

    index: int
    facts: DataFacts | None = None  # as in RemoveLocation


@dataclass(frozen=True)
class ReplaceLocations:
    """A requested change, not yet made: these locations replace all that the image has."""

    locations: tuple[AddLocation, ...]
    facts: DataFacts | None = None  # as in RemoveLocation

    @classmethod
    def parse(cls, value: object) -> ReplaceLocations:
        """Parse a list of locations. Raises Invalid, Conflict, OverLimit."""
        if not isinstance(value, list):
            raise errors.Invalid("Locations must be a list.")
        attributes.check_location_count(len(value))
        return cls(tuple(map(AddLocation.parse, value)))


Removal = RemoveLocation | RemoveLocationAt
LocationChange = AddLocation | Removal | ReplaceLocations


def prepare(image_id: str, changes: Sequence[LocationChange]) -> list[LocationChange]:
    """Ask the URLs of these changes for their size and, where needed, read and digest them.

    Raises Invalid for a URL that is refused or cannot be read, and when all this takes too
    long; OverLimit.
    """
    if not changes:
        return []
    # Checked before any URL is read: one request must not cause thousands.
    attributes.check_location_count(sum(map(_count_urls, changes)))
    image = Image.objects.existing().filter(pk=image_id).first()
    if image is None or image.status not in (Status.QUEUED, Status.ACTIVE):
        return list(changes)  # refused under the lock, or the client tries again
    db.release_connection()
    with concurrency.slot(concurrency.PROBES):
        deadline = time.monotonic() + READ_SECONDS
        return [_prepared(image, change, deadline) for change in changes]


def prepare_first(image: Image, location: AddLocation) -> AddLocation:
    """Prepare the location of an image that is not created yet. Raises like ``prepare``."""
    db.release_connection()
    with concurrency.slot(concurrency.PROBES):
        deadline = time.monotonic() + READ_SECONDS
        return replace(location, facts=_probe(image, location, deadline, in_full=False))


def _count_urls(change: LocationChange) -> int:
    if isinstance(change, ReplaceLocations):
        return len(change.locations)
    return int(isinstance(change, AddLocation))


def algorithm(image: Image) -> str:
    """Return the image's hash algorithm, or the configured one if it has none."""
    return image.os_hash_algo or settings.IMAGECATALOG_HASH_ALGORITHM


def _prepared(image: Image, change: LocationChange, deadline: float) -> LocationChange:
    if isinstance(change, AddLocation):
        in_full = image.status == Status.ACTIVE and not trusts_owners()
        facts = _probe(image, change, deadline, in_full=in_full)
        first_facts = _undigested(image, deadline) if in_full else None
        return replace(change, facts=facts, first_facts=first_facts)
    if isinstance(change, ReplaceLocations) and image.status == Status.QUEUED:
        # Several copies must have the same bytes, so each is read completely.
        in_full = len(change.locations) > 1 and not trusts_owners()
        located = tuple(
            replace(location, facts=_probe(image, location, deadline, in_full=in_full))
            for location in change.locations
        )
        return ReplaceLocations(located)
    if isinstance(change, Removal) or not change.locations:
        return replace(change, facts=_undigested(image, deadline))
    return change


def _probe(
    image: Image, change: AddLocation, deadline: float, *, in_full: bool
) -> DataFacts:
    _check_time(deadline)
    url_filter.check(change.url)
    claimed = _trusted_digests(image, change)
    digests = image.checksum or change.validation
    if in_full or (digests and not claimed):
        return _read_in_full(image, change.url, deadline)
    with _unreadable():
        size = stores.get(URL_STORE).size(change.url)
    check_size_cap(size)
    return DataFacts(size, claimed.get("checksum"), claimed.get("os_hash_value"))


def trusts_owners() -> bool:
    """Whether IMAGECATALOG_LOCATION_DATA trusts an owner's claims about the data at a URL."""
    return bool(settings.IMAGECATALOG_LOCATION_DATA == "trust")


def _trusted_digests(image: Image, change: AddLocation) -> dict[str, str]:
    """Return the claimed digests to store unverified, in lower case; none for a pinned image."""
    if not trusts_owners() or image.pinned:
        return {}
    return {name: value.lower() for name, value in change.validation.items()}


def _undigested(image: Image, deadline: float) -> DataFacts | None:
    """Read the only copy of an image without digests; None for any other image."""
    locations = image.locations.filter(status=LocationStatus.ACTIVE, store=URL_STORE)
    if image.checksum or len(locations) != 1:
        return None
    return _read_in_full(image, locations[0].key, deadline)


def _read_in_full(image: Image, url: str, deadline: float) -> DataFacts:
    with _unreadable(), Digests("md5", algorithm(image)) as digests:
        for _ in digesting(stores.get(URL_STORE).open(url), digests):
            check_size_cap(digests.size)
            _check_time(deadline)
        hexdigests = digests.hexdigests()
    return DataFacts(digests.size, hexdigests["md5"], hexdigests[algorithm(image)])


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
    if kind not in HEX_DIGITS:
        raise errors.Conflict(f"os_hash_algo must be one of {', '.join(HEX_DIGITS)}.")
    if len(value) != HEX_DIGITS[kind] or not set(value) <= set(string.hexdigits):
        raise errors.Conflict(f"{name} must be {HEX_DIGITS[kind]} hexadecimal digits.")
