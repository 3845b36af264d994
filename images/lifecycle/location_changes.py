"""What a change of locations asks for, and what its URLs hold: found out before any lock is taken."""

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
from images.lifecycle.uploading import check_cap
from images.models import Image, LocationStatus, Status
from images.stores import urlfilter
from images.stores.digests import Digests, digesting
from images.transfers import concurrency

# Where bytes of others may be: never a store of ours, whose keys belong to other images.
STORE = "http"
MAX_URL = 255  # characters
MAX_METADATA = 4096  # bytes of JSON
READ_SECONDS = 600.0  # for all the data at all URLs of one request
NEEDED = {"os_hash_algo", "os_hash_value"}  # of validation_data, when there is any
HEX_DIGITS = {"md5": 32, "sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True)
class Found:
    """What data is, as far as it was looked at."""

    size: int  # bytes
    checksum: str | None = None  # MD5, hexadecimal
    hash_value: str | None = None  # hexadecimal


@dataclass(frozen=True)
class AddLocation:
    """A copy at a URL. ``validation`` may give checksum, os_hash_algo and os_hash_value.

    As the ``only`` one it must make a queued image active, and may be said to have a ``size``.
    Not everybody may add one ``to_active``, as a second copy.
    """

    url: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    validation: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None  # bytes
    only: bool = False
    to_active: bool = True
    found: Found | None = None  # by prepare()
    first: Found | None = None  # likewise, of the copy that was never digested

    @classmethod
    def parse(cls, value: object) -> AddLocation:
        """From ``{"url", "metadata"?, "validation_data"?}``. Raises Invalid, Conflict."""
        if not isinstance(value, dict) or not isinstance(value.get("url"), str):
            raise errors.Invalid("A location is an object with a 'url' and 'metadata'.")
        unknown = set(value) - {"url", "metadata", "validation_data"}
        if unknown:
            raise errors.Invalid("A location has only url, metadata, validation_data.")
        metadata = value.get("metadata", {})
        if not isinstance(metadata, dict):
            raise errors.Invalid("The metadata of a location must be an object.")
        if len(value["url"]) > MAX_URL:
            raise errors.Invalid(f"A location URL has at most {MAX_URL} characters.")
        _check_metadata(metadata)
        validation = _parse_validation(value.get("validation_data") or {})
        return cls(value["url"], metadata, validation)

    def as_only(self, size: int | None) -> AddLocation:
        """The same for an image that has none; its data is said to have this size in bytes."""
        return replace(self, size=size, only=True)


@dataclass(frozen=True)
class RemoveLocation:
    """Take away the copy with this primary key."""

    location_id: int
    found: Found | None = None  # by prepare(), of data that has no digests yet


@dataclass(frozen=True)
class RemoveLocationAt:
    """Take away the copy at this index, counted from 0 when the changes before it are made."""

    index: int
    found: Found | None = None  # as of RemoveLocation


@dataclass(frozen=True)
class ReplaceLocations:
    """Set all locations at once."""

    locations: tuple[AddLocation, ...]
    found: Found | None = None  # as of RemoveLocation

    @classmethod
    def parse(cls, value: object) -> ReplaceLocations:
        """From a list of locations. Raises Invalid, Conflict, OverLimit."""
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
    # Before any URL is asked: one request must not make thousands.
    attributes.check_location_count(sum(map(_asks, changes)))
    image = Image.objects.existing().filter(pk=image_id).first()
    if image is None or image.status not in (Status.QUEUED, Status.ACTIVE):
        return list(changes)  # to be refused under the lock, or to be asked again
    db.release_connection()
    with concurrency.slot(concurrency.LOOKS):
        deadline = time.monotonic() + READ_SECONDS
        return [_prepared(image, change, deadline) for change in changes]


def look_at(image: Image, location: AddLocation) -> AddLocation:
    """The location of an image that is to be, prepared. Raises what ``prepare`` raises."""
    db.release_connection()
    with concurrency.slot(concurrency.LOOKS):
        deadline = time.monotonic() + READ_SECONDS
        return replace(location, found=_look(image, location, deadline, in_full=False))


def _asks(change: LocationChange) -> int:
    if isinstance(change, ReplaceLocations):
        return len(change.locations)
    return int(isinstance(change, AddLocation))


def algorithm(image: Image) -> str:
    """The hash algorithm of this image: the one that it has, else the configured one."""
    return image.os_hash_algo or settings.IMAGECATALOG_HASH_ALGORITHM


def _prepared(image: Image, change: LocationChange, deadline: float) -> LocationChange:
    if isinstance(change, AddLocation):
        second = image.status == Status.ACTIVE and not trusting()
        found = _look(image, change, deadline, in_full=second)
        first = _pin(image, deadline) if second else None
        return replace(change, found=found, first=first)
    if isinstance(change, ReplaceLocations) and image.status == Status.QUEUED:
        # Several copies are only as good as their likeness.
        in_full = len(change.locations) > 1 and not trusting()
        located = tuple(
            replace(location, found=_look(image, location, deadline, in_full=in_full))
            for location in change.locations
        )
        return ReplaceLocations(located)
    if isinstance(change, Removal) or not change.locations:
        return replace(change, found=_pin(image, deadline))
    return change


def _look(
    image: Image, change: AddLocation, deadline: float, *, in_full: bool
) -> Found:
    _check_time(deadline)
    urlfilter.check(change.url)
    claimed = _taken_over(image, change)
    digests = image.checksum or change.validation
    if in_full or (digests and not claimed):
        return _read(image, change.url, deadline)
    with _unreadable():
        size = stores.get(STORE).size(change.url)
    check_cap(size)
    return Found(size, claimed.get("checksum"), claimed.get("os_hash_value"))


def trusting() -> bool:
    """Does the operator take the word of an image's owner for what is at a URL?"""
    return bool(settings.IMAGECATALOG_LOCATION_DATA == "trust")


def _taken_over(image: Image, change: AddLocation) -> dict[str, str]:
    """The digests that are believed, in lower case. What is pinned nobody is believed about."""
    if not trusting() or image.pinned:
        return {}
    return {name: value.lower() for name, value in change.validation.items()}


def _pin(image: Image, deadline: float) -> Found | None:
    """What the data of an image is that has one copy, which was never digested."""
    held = image.locations.filter(status=LocationStatus.ACTIVE, store=STORE)
    if image.checksum or len(held) != 1:
        return None
    return _read(image, held[0].key, deadline)


def _read(image: Image, url: str, deadline: float) -> Found:
    with _unreadable(), Digests("md5", algorithm(image)) as digests:
        for _ in digesting(stores.get(STORE).open(url), digests):
            check_cap(digests.size)
            _check_time(deadline)
        found = digests.hexdigests()
    return Found(digests.size, found["md5"], found[algorithm(image)])


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
            f"The metadata of a location has at most {MAX_METADATA} bytes and no NUL."
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
            "validation_data needs os_hash_algo and os_hash_value, and may have checksum."
        )
    _check_hex("os_hash_value", value["os_hash_value"], value["os_hash_algo"])
    if "checksum" in value:
        _check_hex("checksum", value["checksum"], "md5")
    return value


def _check_hex(name: str, value: str, kind: str) -> None:
    if kind not in HEX_DIGITS:
        raise errors.Conflict(f"os_hash_algo may be one of {', '.join(HEX_DIGITS)}.")
    if len(value) != HEX_DIGITS[kind] or not set(value) <= set(string.hexdigits):
        raise errors.Conflict(f"{name} must be {HEX_DIGITS[kind]} hexadecimal digits.")
