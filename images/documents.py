"""Checks of the members of JSON documents that clients send."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.db.models import Field, Model

from images.errors import Invalid

Cleaner = Callable[[Any], Any]  # returns a value as it is stored, or raises Invalid


def members(document: object, *known: str) -> Mapping[str, Any]:
    """Return the members of a JSON object. Raises Invalid for any with another name than ``known``."""
    if not isinstance(document, dict):
        raise Invalid("Unexpected body type. Expected a JSON object.")
    for name in document:
        if name not in known:
            raise Invalid(f"'{name[:64]}' is not known. Known: {', '.join(known)}.")
    return document


def clean_flag(name: str, value: object) -> bool:
    """Return a value that is true or false. Raises Invalid, with its name, otherwise."""
    if isinstance(value, bool):
        return value
    raise Invalid(f"Invalid {name}: it must be true or false.")


def clean_choice(name: str, choices: Collection[str], value: object) -> str:
    """Return a value that is one of ``choices``. Raises Invalid, with its name, otherwise."""
    if isinstance(value, str) and value in choices:
        return value
    raise Invalid(f"Invalid {name}: it must be one of {', '.join(choices)}.")


def clean(
    document: object,
    cleaners: Mapping[str, Cleaner],
    model: type[Model],
    read_only: Collection[str],
) -> dict[str, Any]:
    """Return the members of a JSON object, as they are stored in columns of ``model``.

    ``cleaners`` has a function for each known name. Null stands for the default of a column. Raises
    Invalid for bad values, unknown names, those in ``read_only``, and null without a default.
    """
    if isinstance(document, dict):
        for name in read_only:
            if name in document:
                raise Invalid(f"'{name}' is read-only.")
    values = members(document, *cleaners)
    return {
        name: _default(model, name) if value is None else cleaners[name](value)
        for name, value in values.items()
    }


def _default(model: type[Model], name: str) -> Any:
    field = model._meta.get_field(name)
    if not (isinstance(field, Field) and field.has_default()):
        raise needed(model, name)
    return field.get_default()


def needed(model: type[Model], name: str) -> Invalid:
    """Return the error for a missing value of a new object, which has no default."""
    return Invalid(f"A {model._meta.verbose_name} needs '{name}'.")
