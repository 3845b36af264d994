"""What custom properties may be where the operator says so: a schema-image.json as of Glance.

The file is ``{NAME: JSON schema, …}``, or ``{"properties": {NAME: JSON schema, …}, "required":
[NAME, …]}``. The values of properties are strings, here and there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from images import errors
from images.attributes import clean_property_name


class Described(NamedTuple):
    """What the file says."""

    properties: Mapping[str, Mapping[str, Any]]
    of_some: Any  # validator of some properties of an image
    of_all: Any  # validator of all those of a new one


def described() -> Mapping[str, Mapping[str, Any]]:
    """Name -> JSON schema, of what is described. Raises ImproperlyConfigured."""
    return _read(settings.IMAGECATALOG_PROPERTY_SCHEMA).properties


def check(properties: Mapping[str, str]) -> None:
    """Raise Invalid for a value that a property may not have."""
    _check(_read(settings.IMAGECATALOG_PROPERTY_SCHEMA).of_some, properties)


def check_new(properties: Mapping[str, str]) -> None:
    """The same for all properties of a new image: Invalid also when a required one is missing."""
    _check(_read(settings.IMAGECATALOG_PROPERTY_SCHEMA).of_all, properties)


def _check(validator: Any, properties: Mapping[str, str]) -> None:
    error = validator and next(validator.iter_errors(dict(properties)), None)
    if not error:
        return
    where = ".".join(map(str, error.instance_path))
    what = f"value for property '{where}'" if where else "properties"
    raise errors.Invalid(f"Invalid {what}: {error.message}.")


@cache
def _read(path: str) -> Described:
    if not path:
        return Described({}, None, None)
    try:
        import jsonschema_rs

        found = json.loads(Path(path).read_bytes())
    except ImportError:
        raise _wrong(path, "it needs the package jsonschema-rs") from None
    except OSError as error:
        raise _wrong(path, f"it cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise _wrong(path, "it is not JSON") from None
    properties, required = _parts(path, found)
    schema = {"type": "object", "properties": properties}
    more = {"required": required} if required else {}
    make = jsonschema_rs.Draft4Validator
    try:
        some, every = (make(one, mask="it") for one in (schema, schema | more))
    except ValueError as error:
        raise _wrong(path, f"it is no JSON schema: {error}") from None
    return Described(properties, some, every)


def _parts(path: str, found: Any) -> tuple[dict[str, Any], Any]:
    """What is described, and the names that are required."""
    if isinstance(found, dict) and set(found) <= {"properties", "required"}:
        found, required = found.get("properties", {}), found.get("required", [])
    else:
        required = []
    if not isinstance(found, dict):
        raise _wrong(
            path, "it must be an object: names of properties and their schemas"
        )
    if not isinstance(required, list):
        raise _wrong(path, "what is required must be a list of names")
    for name in (*found, *required):
        try:
            clean_property_name(name)
        except errors.ImageError as error:
            raise _wrong(path, str(error)) from None
    for name, schema in found.items():
        kind = schema.get("type", "string") if isinstance(schema, dict) else None
        if kind != "string" and not (isinstance(kind, list) and "string" in kind):
            raise _wrong(path, f"the values of '{name}' must be of the type string")
    return found, required


def _wrong(path: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"IMAGECATALOG_PROPERTY_SCHEMA {path}: {why}.")
