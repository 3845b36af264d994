"""Checks of the values of families and their versions, from documents of clients."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any, Final

from images import attributes, custom_properties
from images.documents import (
    Cleaner,
    clean,
    clean_choice,
    clean_flag,
    members,
    needed,
)
from images.errors import Invalid
from images.models import Family, FamilyScope, Naming
from images.models.family import MAX_IMAGE_NAME
from images.models.retention import MAX_NAME

MAX_DESCRIPTION: Final = 10_000  # characters
MAX_NOTE: Final = 1000  # characters
MAX_SEPARATOR: Final = 5  # characters
FIXED: Final = ("owner", "architecture")  # set when a family is created
READ_ONLY: Final = ("id", "current", "created_at", "updated_at", "version")
MOST_ALIASES: Final = 16
OF_PUBLISHING: Final = ("aliases", "osinfo_id", "expand")  # in a template
TEMPLATE: Final = (
    "properties",
    "tags",
    "min_disk",
    "min_ram",
    "template_wins",
    "scs",
    *OF_PUBLISHING,
)

_NAME = re.compile("[a-z0-9][a-z0-9._-]{0,62}")
_LABEL = re.compile("[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
_WORD = re.compile("[A-Za-z0-9/][A-Za-z0-9._+~/-]{0,63}")
_ARCHITECTURE = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_HOMEPAGE = re.compile(r"https?://\S+")


def clean_new(document: object) -> dict[str, Any]:
    """Return the values of a new family from a client's document, as they are stored.

    Raises Invalid for bad values, unknown names, and if the name or the architecture is missing.
    """
    values = _clean(document, {"owner": _owner, **_CLEANERS})
    for name in ("name", "architecture"):
        if name not in values:
            raise needed(Family, name)
    return values


def clean_changes(document: object) -> dict[str, Any]:
    """Return the changed values of a family from a JSON merge patch (RFC 7396), as they are stored.

    Null restores the default of a value. Raises Invalid for bad values and unknown names, and
    for values that cannot be changed.
    """
    for name in FIXED:
        if isinstance(document, dict) and name in document:
            raise Invalid(
                f"The {name} of a family cannot be changed. Create another family."
            )
    return _clean(document, _CLEANERS)


def check_whole(family: Family) -> None:
    """Raise Invalid if a family gives the same name to its current image and to visible old images.

    That is so if ``naming`` is ``same`` and ``hide_old`` is false.
    """
    if family.naming == Naming.SAME and not family.hide_old:
        raise Invalid(
            "Images that are not hidden need other names than the current one. Set 'naming' "
            "to versioned, or 'hide_old' to true."
        )


def clean_label(value: object) -> str:
    """Return ``value`` if it is a valid label of a version. Raises Invalid otherwise."""
    if isinstance(value, str) and _LABEL.fullmatch(value):
        return value
    raise Invalid(
        "Invalid label: it has at most 64 letters, digits and . _ + ~ -, and begins with a "
        "letter or digit."
    )


def clean_date(value: object) -> date:
    """Return the date that a text such as 2026-01-31 states. Raises Invalid for any other value."""
    try:
        if isinstance(value, str) and len(value) == len("2026-01-31"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise Invalid("Invalid build_date: it must be a date such as 2026-01-31.")


def clean_note(value: object) -> str:
    """Return ``value`` if it can be the note on a version.

    Raises Invalid if it is not text that can be stored, or longer than MAX_NOTE characters.
    """
    return attributes.clean_text(value, "note", MAX_NOTE)


def _clean(document: object, cleaners: Mapping[str, Cleaner]) -> dict[str, Any]:
    return clean(document, cleaners, Family, READ_ONLY)


def _name(value: object) -> str:
    if (
        isinstance(value, str)
        and _NAME.fullmatch(value)
        and not attributes.parse_uuid(value)
    ):
        return value
    raise Invalid(
        "Invalid name: it has at most 63 lower-case letters, digits and . _ -, begins with a "
        "letter or digit, and is no UUID."
    )


def _owner(value: object) -> str:
    if text := attributes.clean_text(value, "owner"):
        return text
    raise Invalid("Invalid owner: it must be the id of a project.")


def _architecture(value: object) -> str:
    if isinstance(value, str) and _ARCHITECTURE.fullmatch(value):
        return value
    raise Invalid("Invalid architecture: it must be a word such as x86_64 or aarch64.")


def _homepage(value: object) -> str:
    text = attributes.clean_text(value, "homepage")
    if text and not _HOMEPAGE.fullmatch(text):
        raise Invalid("Invalid homepage: it must begin with https:// or http://.")
    return text


def _visibility(value: object) -> str:
    chosen = clean_choice("visibility", ("keep", *attributes.VISIBILITIES), value)
    return "" if chosen == "keep" else chosen


def _text(name: str, longest: int, value: object) -> str:
    return attributes.clean_text(value, name, longest)


def _template(value: object) -> dict[str, Any]:
    template = members(value, *TEMPLATE)
    cleaned: dict[str, Any] = {
        name: clean_flag(name, template[name])
        for name in ("template_wins", "scs")
        if name in template
    }
    sizes = {
        name: template[name] for name in ("min_disk", "min_ram") if name in template
    }
    cleaned |= attributes.clean_fields(sizes)
    if "tags" in template:
        cleaned["tags"] = attributes.clean_tags(template["tags"])
    if "properties" in template:
        cleaned["properties"] = _properties(template["properties"])
    if "aliases" in template:
        cleaned["aliases"] = _aliases(template["aliases"])
    for name in ("osinfo_id", "expand"):
        if name in template:
            cleaned[name] = _word(name, template[name])
    return cleaned


def _aliases(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_ALIASES:
        raise Invalid(f"Invalid aliases: a list of at most {MOST_ALIASES} names.")
    return [_word("aliases", it) for it in value]


def _word(name: str, value: object) -> str:
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    raise Invalid(
        f"Invalid {name}: at most 64 letters, digits and . _ + ~ / -, such as debian/13."
    )


def _properties(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Invalid("Invalid properties: they must be a JSON object.")
    if taken := attributes.FAMILY_PROPERTIES & value.keys():
        raise Invalid(
            f"A template cannot set '{min(taken)}': the family sets it. Remove it from the template."
        )
    properties = custom_properties.clean_properties(value)
    custom_properties.check_property_count(custom_properties.counted(properties))
    custom_properties.check_properties_length(properties)
    return properties


_CLEANERS: Final[dict[str, Cleaner]] = {
    "name": _name,
    "scope": partial(clean_choice, "scope", tuple(FamilyScope.values)),
    "title": partial(_text, "title", 255),
    "description": partial(_text, "description", MAX_DESCRIPTION),
    "homepage": _homepage,
    "architecture": _architecture,
    "image_name": partial(_text, "image_name", MAX_IMAGE_NAME),
    "naming": partial(clean_choice, "naming", tuple(Naming.values)),
    "name_separator": partial(_text, "name_separator", MAX_SEPARATOR),
    "hide_old": partial(clean_flag, "hide_old"),
    "visibility": _visibility,
    "verified_only": partial(clean_flag, "verified_only"),
    "publish": partial(clean_flag, "publish"),
    "retention": partial(_text, "retention", MAX_NAME),
    "template": _template,
}
