"""Checks of the values of image attributes and tags.

They depend only on their arguments and the settings. Permissions are checked in ``images.access``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from images.errors import Forbidden, Invalid, OverLimit

DISK_FORMATS: Final = (
    "ami",
    "ari",
    "aki",
    "vhd",
    "vhdx",
    "vmdk",
    "raw",
    "qcow2",
    "vdi",
    "iso",
    "ploop",
)
CONTAINER_FORMATS: Final = (
    "ami",
    "ari",
    "aki",
    "bare",
    "ovf",
    "ova",
    "docker",
    "compressed",
)
VISIBILITIES: Final = ("community", "public", "private", "shared")
MAX_LENGTH: Final = 255  # characters: names, owners, names of properties, tags
MAX_INTEGER: Final = 2**31 - 1  # MiB of min_ram, GiB of min_disk
MAX_SIZE: Final = 2**63 - 1  # bytes
ID_PATTERN: Final = (
    "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}"
    "-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
)
INTERNAL_PREFIX: Final = "os_glance"
FAMILY_PROPERTIES: Final = frozenset({"image_family", "image_version"})
RESERVED: Final = frozenset({"location", "locations", "deleted", "deleted_at"})
READ_ONLY: Final = frozenset(
    {
        "status",
        "checksum",
        "size",
        "virtual_size",
        "created_at",
        "updated_at",
        "self",
        "file",
        "schema",
        "direct_url",
        "stores",
    }
)

# A client may choose the id of a new image; hashes in its request are ignored silently.
READ_ONLY_ONCE_CREATED: Final = frozenset({"id", "os_hash_algo", "os_hash_value"})

# No database stores NUL and unpaired surrogates, and not every one stores the other characters.
_REFUSED = re.compile("[\x00\ud800-\udfff\U00010000-\U0010ffff]")
_ID = re.compile(ID_PATTERN.removesuffix("$"))


@dataclass
class Changes:
    """The changes that a request makes to one image.

    A request can set attributes and custom properties, remove custom properties, and state which
    size and checksum it expects of the image's data. Everything else stays as it is.
    """

    fields: dict[str, Any] = field(default_factory=dict)  # with "tags": the whole list
    properties: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)  # names of custom properties
    # Expected size and checksum of data that is not there yet; existing data must match them.
    size: int | None = None  # bytes
    checksum: str | None = None  # MD5, hexadecimal


def is_internal(name: str) -> bool:
    """Return whether only the service sets this property: its name begins with ``os_glance``."""
    return name.startswith(INTERNAL_PREFIX)


def is_managed(name: str) -> bool:
    """Return whether only the service sets this property: an internal one, or the family of an image."""
    return is_internal(name) or name in FAMILY_PROPERTIES


def check_settable(name: str) -> None:
    """Raise Forbidden if ``name`` is an attribute or property that clients can never set."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in RESERVED or is_internal(name):
        raise Forbidden(f"Attribute '{_shown(name)}' is reserved.")


def check_changeable(name: str) -> None:
    """Raise Forbidden if clients cannot change this attribute or property of an existing image."""
    if name in READ_ONLY_ONCE_CREATED:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    check_settable(name)


def check_limit(what: str, attempted: int, maximum: int, holder: str = "image") -> None:
    """Raise OverLimit if ``attempted`` exceeds ``maximum``; a negative ``maximum`` means no limit.

    ``what`` and ``holder`` are nouns for the message: the holder, such as ``image``, would have too
    many of ``what``, such as ``tags``.
    """
    if 0 <= maximum < attempted:
        raise OverLimit(
            f"The {holder} would have too many {what}. "
            f"Attempted: {attempted}, Maximum: {maximum}"
        )


def check_tag_count(count: int) -> None:
    """Raise OverLimit if ``count`` is more than the number of tags that an image can have."""
    check_limit("tags", count, settings.IMAGECATALOG_IMAGE_TAG_QUOTA)


def check_member_count(count: int) -> None:
    """Raise OverLimit if ``count`` is more than the number of members that an image can have."""
    check_limit("members", count, settings.IMAGECATALOG_IMAGE_MEMBER_QUOTA)


def check_location_count(count: int) -> None:
    """Raise OverLimit if ``count`` is more than the number of locations that an image can have."""
    check_limit("locations", count, settings.IMAGECATALOG_IMAGE_LOCATION_QUOTA)


def clean_text(value: object, what: str, longest: int | None = MAX_LENGTH) -> str:
    """Return the value unchanged if it is text that every database can store.

    Raises Invalid if it is not, or if it has more than ``longest`` characters (None: no limit).
    ``what`` names the value in the message.
    """
    if not isinstance(value, str):
        raise Invalid(f"Invalid {what}: it must be a string.")
    if longest is not None and len(value) > longest:
        raise Invalid(f"Invalid {what}: it is longer than {longest} characters.")
    if _REFUSED.search(value):
        raise Invalid(
            f"Invalid {what}: NUL and characters beyond the Basic Multilingual Plane "
            "(such as emoji) are not allowed."
        )
    return value


def clean_fields(fields: Mapping[str, object]) -> dict[str, Any]:
    """Check attributes of an image (name -> value); return them with the values as they are stored.

    Raises Invalid for a bad value or an attribute that cannot be set.
    """
    return {name: _clean_field(name, value) for name, value in fields.items()}


def clean_size(size: int | None) -> int | None:
    """Return ``size`` unchanged: bytes, or None if unknown. Raises Invalid if it is impossible.

    A size is impossible if it is negative or has more than 63 bits.
    """
    if size is None or 0 <= size <= MAX_SIZE:
        return size
    raise Invalid(f"Invalid size: it must be between 0 and {MAX_SIZE} bytes.")


def clean_tags(tags: object) -> list[str]:
    """Return the tags of a new image as they are stored: sorted, without duplicates.

    Raises Invalid for a value that is not a list of texts, OverLimit for too many tags.
    """
    cleaned = _sorted_tags(tags)
    check_tag_count(len(cleaned))
    return cleaned


def _sorted_tags(tags: object) -> list[str]:
    if not isinstance(tags, (list, tuple, set, frozenset)):
        raise Invalid("Invalid tags: they must be a list of strings.")
    return sorted({_clean_tag(tag) for tag in tags})


def _clean_tag(tag: object) -> str:
    text = clean_text(tag, "tag")
    if not text:
        raise Invalid("Invalid tag: it must not be empty.")
    return text


def _clean_field(name: str, value: object) -> Any:
    if name not in _CLEANERS:
        raise Invalid(f"'{_shown(name)}' is not an attribute that can be set.")
    return _CLEANERS[name](value)


def _text_or_null(what: str, value: object) -> str | None:
    return None if value is None else clean_text(value, what)


def _one_of(what: str, choices: tuple[str | None, ...], value: object) -> str | None:
    # The type is checked first: `in` must not compare values of other types with `==`.
    if (value is None or isinstance(value, str)) and value in choices:
        return value
    raise Invalid(
        f"Invalid {what}: it must be one of "
        f"{', '.join('null' if choice is None else choice for choice in choices)}."
    )


def _flag(what: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"Invalid {what}: it must be true or false.")
    return value


def _amount(what: str, value: object) -> int:
    # JSON has one type of number: 1.0 is an integer, NaN and infinity are not.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid(f"Invalid {what}: it must be an integer.")
    if 0 <= value <= MAX_INTEGER:
        return value
    reason = (
        "Cannot be a negative value"
        if value < 0
        else f"Cannot be greater than {MAX_INTEGER}"
    )
    raise Invalid(
        f"Invalid value '{_shown(str(value))}' for parameter '{what}': {reason}"
    )


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID that is written as ``text``, in 36 characters; None for any other text."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _image_id(value: object) -> str:
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise Invalid(
        "Invalid id: it must be a UUID such as 01234567-89ab-cdef-0123-456789abcdef."
    )


def _shown(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:64]}…"


_CLEANERS: Final[dict[str, Callable[[object], Any]]] = {
    "name": partial(_text_or_null, "name"),
    "disk_format": partial(_one_of, "disk_format", (None, *DISK_FORMATS)),
    "container_format": partial(
        _one_of, "container_format", (None, *CONTAINER_FORMATS)
    ),
    "visibility": partial(_one_of, "visibility", VISIBILITIES),
    "protected": partial(_flag, "protected"),
    "min_ram": partial(_amount, "min_ram"),
    "min_disk": partial(_amount, "min_disk"),
    "owner": partial(_text_or_null, "owner"),
    "os_hidden": partial(_flag, "os_hidden"),
    "id": _image_id,
    "tags": _sorted_tags,  # the limit for a changed image depends on its earlier tags
}

BASE: Final = frozenset(_CLEANERS)  # names that a client may set on a new image
