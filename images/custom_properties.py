"""Checks of the names, values and number of an image's custom properties. They read no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from django.conf import settings

from images.attributes import (
    BASE,
    READ_ONLY_ONCE_CREATED,
    check_limit,
    check_settable,
    clean_fields,
    clean_tags,
    clean_text,
    is_managed,
)
from images.errors import Invalid, OverLimit

MAX_VALUE: Final = 65_535  # characters of one custom property
MAX_PROPERTIES: Final = (
    262_144  # characters of all custom properties of an image, names included
)


def check_property_count(count: int) -> None:
    """Raise OverLimit if ``count`` is more than the number of custom properties an image can have."""
    check_limit("properties", count, settings.IMAGECATALOG_IMAGE_PROPERTY_QUOTA)


def check_properties_length(
    properties: Mapping[str, str], before: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Raise OverLimit if all custom properties of an image together have too many characters.

    ``before`` are the properties before a change: if they already had too many characters, the
    changed properties can have as many, but not more.
    """
    attempted = _length(properties)
    if attempted > max(MAX_PROPERTIES, _length(before)):
        raise OverLimit(
            "The properties of the image would be too long. "
            f"Attempted: {attempted} characters, Maximum: {MAX_PROPERTIES}"
        )


def _length(properties: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in properties.items())


def counted(names: Iterable[str]) -> int:
    """Return how many of these property names count towards the limit: all but managed ones.

    The service itself sets managed properties, such as ``image_family``.
    """
    return sum(not is_managed(name) for name in names)


def clean_property_name(name: object) -> str:
    """Return the name of a custom property unchanged if clients can use it.

    Raises Invalid for text that cannot be stored and for the name of an attribute, Forbidden
    for a reserved name.
    """
    text = clean_text(name, "property name")
    if not text.strip():
        raise Invalid("Invalid property name: it must not be empty or only blanks.")
    check_settable(text)
    if text in BASE or text in READ_ONLY_ONCE_CREATED:
        raise Invalid(f"'{text}' is an attribute and cannot be a custom property.")
    return text


def clean_property_value(name: str, value: object) -> str:
    """Return the value of a custom property if it is text of at most MAX_VALUE characters.

    Raises Invalid otherwise. ``name`` is the property's name, for the message.
    """
    return clean_text(value, f"value for property '{name}'", longest=MAX_VALUE)


def clean_properties(properties: Mapping[str, object]) -> dict[str, str]:
    """Check custom properties (name -> value) and return them unchanged.

    Raises Invalid for a bad name or value, Forbidden for a reserved name.
    """
    names = {name: clean_property_name(name) for name in properties}
    return {
        names[name]: clean_property_value(names[name], value)
        for name, value in properties.items()
    }


def parse_new_image(
    document: object,
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Check the JSON body that creates an image; return its attributes, custom properties and tags.

    Raises Invalid for malformed values, Forbidden for names that clients cannot set, OverLimit for
    too many tags.
    """
    if not isinstance(document, dict):
        raise Invalid("Unexpected body type. Expected a JSON object.")
    settable = {
        name: value
        for name, value in document.items()
        if name not in ("os_hash_algo", "os_hash_value")
    }
    for name in settable:
        check_settable(name)
    tags = clean_tags(settable.pop("tags", []))
    base = {name: settable.pop(name) for name in BASE if name in settable}
    return clean_fields(base), clean_properties(settable), tags
