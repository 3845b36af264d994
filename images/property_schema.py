"""The operator's JSON schema of custom properties, a schema-image.json as in Glance.

The file is ``{NAME: JSON schema, …}``, or ``{"properties": {NAME: JSON schema, …}, "required":
[NAME, …]}``. The values of properties are strings, as in Glance.
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
from images.custom_properties import clean_property_name


class Described(NamedTuple):
    """The content of the schema file: a schema for each property, and two validators.

    ``of_some`` checks some properties of an image, ``of_all`` all properties of a new image.
    Without a file there are no schemas, and both validators are None.
    """

    properties: Mapping[str, Mapping[str, Any]]
    of_some: Any  # validator of a subset of an image's properties
    of_all: Any  # validator of all properties of a new image


def described() -> Mapping[str, Mapping[str, Any]]:
    """Return the properties that the operator's schema describes: name -> JSON schema.

    Raises ImproperlyConfigured if the file cannot be read or is not a valid schema.
    """
    return _read(settings.IMAGECATALOG_PROPERTY_SCHEMA).properties


def check(properties: Mapping[str, str]) -> None:
    """Raise Invalid for a value of a custom property that the operator's schema does not allow."""
    _check(_read(settings.IMAGECATALOG_PROPERTY_SCHEMA).of_some, properties)


def check_new(properties: Mapping[str, str]) -> None:
    """Raise Invalid if the operator's schema does not allow the properties of a new image.

    The reason is a value that is not allowed, or a missing property that is required.
    """
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

        document = json.loads(Path(path).read_bytes())
    except ImportError:
        raise _wrong(path, "the package jsonschema-rs is missing. Install it") from None
    except OSError as error:
        raise _wrong(path, f"it cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise _wrong(path, "it is not JSON") from None
    properties, required = _parts(path, document)
    schema = {"type": "object", "properties": properties}
    more = {"required": required} if required else {}
    make = jsonschema_rs.Draft4Validator
    try:
        of_some = make(schema, mask="it")
        of_all = make(schema | more, mask="it")
    except ValueError as error:
        raise _wrong(path, f"it is not a JSON schema: {error}") from None
    return Described(properties, of_some, of_all)


def _parts(path: str, document: Any) -> tuple[dict[str, Any], Any]:
    """Return (schemas by property name, required names) from the parsed schema file ``document``.

    Raises ImproperlyConfigured if the document has neither form of a schema file; the message
    names ``path``.
    """
    schemas, required = document, []
    if isinstance(document, dict) and set(document) <= {"properties", "required"}:
        schemas = document.get("properties", {})
        required = document.get("required", [])
    if not isinstance(schemas, dict):
        raise _wrong(
            path, "it must be an object: names of properties and their schemas"
        )
    if not isinstance(required, list):
        raise _wrong(path, "'required' must be a list of names")
    for name in (*schemas, *required):
        try:
            clean_property_name(name)
        except errors.ImageError as error:
            raise _wrong(path, str(error)) from None
    for name, schema in schemas.items():
        kind = schema.get("type", "string") if isinstance(schema, dict) else None
        if kind != "string" and not (isinstance(kind, list) and "string" in kind):
            raise _wrong(path, f"the values of '{name}' must have the type string")
    return schemas, required


def _wrong(path: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"IMAGECATALOG_PROPERTY_SCHEMA {path}: {why}.")
