"""What a change of locations asks for, and what its URLs hold: found out before any lock is taken."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from django.conf import settings

from images import attributes, errors, stores
from images.models import Image, Status
from images.stores import urlfilter
from images.stores.digests import Digests, digesting

# Where bytes of others may be: never a store of ours, whose keys belong to other images.
STORE = "http"
MAX_URL = 255  # characters
MAX_METADATA = 4096  # bytes of JSON
HEX_DIGITS = {"md5": 32, "sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True)
class AddLocation:
    """A copy at a URL. ``validation`` may give checksum, os_hash_algo and os_hash_value."""

    url: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    validation: Mapping[str, str] = field(default_factory=dict)
    # Found out by prepare(); without a size nobody has asked the URL yet.
    size: int | None = None  # bytes
    checksum: str | None = None
    hash_value: str | None = None

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


@dataclass(frozen=True)
class RemoveLocation:
    """Take away the copy at this index, counted from 0."""

    index: int


@dataclass(frozen=True)
class ReplaceLocations:
    """Set all locations at once."""

    locations: tuple[AddLocation, ...]

    @classmethod
    def parse(cls, value: object) -> ReplaceLocations:
        """From a list of locations. Raises Invalid, Conflict, OverLimit."""
        if not isinstance(value, list):
            raise errors.Invalid("Locations must be a list.")
        attributes.check_location_count(len(value))
        return cls(tuple(map(AddLocation.parse, value)))


LocationChange = AddLocation | RemoveLocation | ReplaceLocations


def prepare(image_id: str, changes: Sequence[LocationChange]) -> list[LocationChange]:
    """Ask the URLs of these changes for their size and, where needed, read and digest them."""
    if not changes:
        return []
    image = Image.objects.existing().filter(pk=image_id).first()
    if image is None or image.status not in (Status.QUEUED, Status.ACTIVE):
        return list(changes)  # to be refused under the lock, or to be asked again
    return [_prepared(image, change) for change in changes]


def algorithm(image: Image) -> str:
    """The hash algorithm of this image: the one that it has, else the configured one."""
    return image.os_hash_algo or settings.IMAGECATALOG_HASH_ALGORITHM


def _prepared(image: Image, change: LocationChange) -> LocationChange:
    if isinstance(change, AddLocation):
        return _measured(image, change)
    if isinstance(change, ReplaceLocations) and image.status == Status.QUEUED:
        located = tuple(_measured(image, location) for location in change.locations)
        return ReplaceLocations(located)
    return change


def _measured(image: Image, change: AddLocation) -> AddLocation:
    urlfilter.check(change.url)
    store = stores.get(STORE)
    try:
        if not (image.os_hash_value or image.checksum or change.validation):
            return replace(change, size=store.size(change.url))
        with Digests("md5", algorithm(image)) as digests:
            for _ in digesting(store.open(change.url), digests):
                pass
            found = digests.hexdigests()
    except errors.StoreError:
        raise errors.Invalid(
            "Invalid location: its data cannot be read. Check the URL."
        ) from None
    return replace(
        change,
        size=digests.size,
        checksum=found["md5"],
        hash_value=found[algorithm(image)],
    )


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
    if (
        not {"os_hash_algo", "os_hash_value"}
        <= set(value)
        <= {
            "checksum",
            "os_hash_algo",
            "os_hash_value",
        }
    ):
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
