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
    """Return ``value`` if it is a boolean. Raises Invalid otherwise.

    ``name`` is the name of the value, for the message.
    """
    if isinstance(value, bool):
        return value
    raise Invalid(f"Invalid {name}: it must be true or false.")


def clean_choice(name: str, choices: Collection[str], value: object) -> str:
    """Return ``value`` if it is one of ``choices``. Raises Invalid otherwise.

    ``name`` is the name of the value, for the message.
    """
    if isinstance(value, str) and value in choices:
        return value
    raise Invalid(f"Invalid {name}: it must be one of {', '.join(choices)}.")


def clean(
    document: object,
    cleaners: Mapping[str, Cleaner],
    model: type[Model],
    read_only: Collection[str],
) -> dict[str, Any]:
    """Check the members of a JSON object; return their values (by name) for columns of ``model``.

    ``cleaners`` has, for each known name, a function that checks a value and returns it as it is
    stored. Null stands for the default of a column. Raises Invalid for bad values, unknown names,
    names in ``read_only``, and null for a column without a default.
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
    """Return the error for a document that lacks a value which has no default.

    ``name`` is the name of the value, ``model`` the class of the object to be created.
    """
    return Invalid(f"A {model._meta.verbose_name} needs '{name}'.")
