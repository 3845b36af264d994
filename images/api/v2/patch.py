"""Conversion of a JSON patch of an image to ``Changes``, in both dialects of the Image API.

This module works in memory only, and checks neither permissions nor the status of the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from images import attributes, custom_properties
from images.attributes import Changes
from images.errors import Conflict, Forbidden, Invalid
from images.http import request_body

V2_1: Final = "application/openstack-images-v2.1-json-patch"  # RFC 6902
V2_0: Final = (
    "application/openstack-images-v2.0-json-patch"  # the fourth draft of RFC 6902
)
ACCEPT_PATCH: Final = f"{V2_1}, {V2_0}"
MAX_DEPTH: Final = 16  # of a value; a location with its metadata needs three

Op = Literal["add", "remove", "replace"]
OPS: Final[tuple[Op, ...]] = ("add", "remove", "replace")
CHANGEABLE: Final = attributes.BASE - attributes.READ_ONLY_ONCE_CREATED

MAX_POINTER: Final = 1024  # characters; a name has at most 255

_BAD_ESCAPE = re.compile("~(?![01])")
_INDEX = re.compile("[0-9]{1,9}")


class UnsupportedPatch(Invalid):
    """The error for a patch whose Content-Type is none of the media types in ``ACCEPT_PATCH``."""

    code = "unsupported-patch"


@dataclass(frozen=True)
class Operation:
    """An operation of a JSON patch. Its form does not depend on the dialect of the patch."""

    op: Op
    path: tuple[str, ...]  # stripped of blanks
    unstripped: str  # the first part of the path
    value: object = None
    only_new: bool = False  # "add" must not overwrite, as the draft demands


@dataclass(frozen=True)
class LocationOperation:
    """An operation of a JSON patch on ``/locations``, the list of an image's locations.

    ``index`` is a position in the list. None stands for the end of the list if ``op`` is add,
    and for the whole list if it is replace.
    """

    op: Op
    index: int | None
    value: object


def parse(content_type: str, content: bytes) -> list[Operation]:
    """Return the operations of a JSON patch in a request's body, in order.

    Raises UnsupportedPatch for a Content-Type that is no JSON patch, and Invalid for errors in
    the document that do not depend on the image.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (V2_1, V2_0):
        raise UnsupportedPatch(
            f"The Content-Type of a patch must be one of: {ACCEPT_PATCH}"
        )
    read = _read_v2_1 if media_type == V2_1 else _read_v2_0
    return [read(_object(element)) for element in _elements(content)]


def plan(
    operations: list[Operation], properties: Mapping[str, str]
) -> tuple[Changes, list[LocationOperation]]:
    """Return the changes that a patch makes to an image, and the operations on its locations.

    The operations are applied in order, in memory only. ``properties`` are the image's properties
    that the caller can read. Raises Invalid for a bad value or path, Forbidden for read-only
    attributes, and Conflict if a property to be added exists, or one to be changed does not.
    """
    draft = _Draft(dict(properties))
    locations = [
        change for operation in operations for change in _apply(operation, draft)
    ]
    changes = Changes(
        fields=draft.fields,
        properties={
            name: draft.properties[name]
            for name in draft.touched
            if name in draft.properties
        },
        removed={name for name in properties if name not in draft.properties},
    )
    return changes, locations


@dataclass
class _Draft:
    """The properties and attributes of an image while the operations of a patch are applied."""

    properties: dict[str, str]
    fields: dict[str, Any] = field(default_factory=dict)
    # The names of custom properties that were set; a dict, to keep their order.
    touched: dict[str, None] = field(default_factory=dict)


def _elements(content: bytes) -> list[object]:
    document = request_body.document(content)
    if not isinstance(document, list):
        raise Invalid("The request body must be a JSON array of operations.")
    return document


def _object(element: object) -> dict[str, object]:
    if not isinstance(element, dict):
        raise Invalid("Every operation must be a JSON object.")
    return element


def _read_v2_1(element: dict[str, object]) -> Operation:
    missing = [key for key in ("op", "path") if key not in element]
    if missing:
        raise Invalid(f"An operation needs the member '{missing[0]}'.")
    op = element["op"]
    if op not in OPS:
        raise Invalid(f"The op of an operation must be one of: {', '.join(OPS)}.")
    return _operation(op, element["path"], element)


def _read_v2_0(element: dict[str, object]) -> Operation:
    ops = [op for op in OPS if op in element]
    if len(ops) != 1:
        raise Invalid(f"An operation needs exactly one of: {', '.join(OPS)}.")
    (op,) = ops
    return _operation(op, element[op], element, only_new=op == "add")


def _operation(
    op: Op, pointer: object, element: dict[str, object], only_new: bool = False
) -> Operation:
    segments = _segments(pointer)
    unstripped = _unescaped(segments[0])
    path = tuple(_unescaped(segment.strip()) for segment in segments)
    if op == "remove":
        return Operation(op, path, unstripped)
    if "value" not in element:
        raise Invalid(f"The operation '{op}' needs the member 'value'.")
    _check_value(element["value"])
    return Operation(op, path, unstripped, element["value"], only_new)


def _segments(pointer: object) -> list[str]:
    """Return the parts of a JSON pointer (RFC 6901) between its slashes, still with escapes.

    Raises Invalid for a malformed pointer.
    """
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise Invalid("A JSON pointer must be a string that starts with '/'.")
    if len(pointer) > MAX_POINTER:
        raise Invalid(f"A JSON pointer must have at most {MAX_POINTER} characters.")
    if _BAD_ESCAPE.search(pointer):
        raise Invalid(
            "The JSON pointer has a '~' outside '~0' and '~1'. Write '~' as '~0'."
        )
    segments = pointer[1:].split("/")
    if not all(segment.strip() for segment in segments):
        raise Invalid("A JSON pointer must not end with '/' or have empty parts.")
    return segments


def _unescaped(segment: str) -> str:
    return segment.replace("~1", "/").replace("~0", "~")


def _check_value(value: object) -> None:
    # Level by level, without recursion: a deep value would exhaust the stack, also of the code
    # that reads the value later.
    level = [value]
    for _ in range(MAX_DEPTH):
        for item in level:
            if isinstance(item, str):
                attributes.clean_text(item, "value of an operation", longest=None)
        level = [child for item in level for child in _children(item)]
    if level:
        raise Invalid(
            f"The value of an operation has more than {MAX_DEPTH} levels. Send fewer levels."
        )


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []


def _apply(operation: Operation, draft: _Draft) -> Iterator[LocationOperation]:
    name = operation.path[0]
    if operation.unstripped in draft.properties:
        name = operation.unstripped  # the blanks belong to the name
    if name == "locations":
        yield _location_operation(operation)
        return
    attributes.check_changeable(name)
    if len(operation.path) > 1:
        raise Invalid(
            f"Invalid JSON pointer for this resource: '/{name}' has no parts."
        )
    if name in CHANGEABLE:
        _apply_to_attribute(name, operation, draft)
    else:
        _apply_to_property(
            custom_properties.clean_property_name(name), operation, draft
        )


def _location_operation(operation: Operation) -> LocationOperation:
    if operation.op == "replace":
        if len(operation.path) == 1:
            return LocationOperation("replace", None, operation.value)
    elif len(operation.path) == 2:
        position = operation.path[1]
        if position == "-" and operation.op == "add":
            return LocationOperation("add", None, operation.value)
        if _INDEX.fullmatch(position):
            return LocationOperation(operation.op, int(position), operation.value)
    raise Invalid(
        "Invalid JSON pointer for this resource: replace '/locations', "
        "add '/locations/-' or '/locations/N', remove '/locations/N'."
    )


def _apply_to_attribute(name: str, operation: Operation, draft: _Draft) -> None:
    if operation.op == "remove":
        raise Forbidden(f"Property {name} may not be removed.")
    if operation.only_new:
        raise Conflict(f"Property {name} already present.")
    draft.fields |= attributes.clean_fields({name: operation.value})


def _apply_to_property(name: str, operation: Operation, draft: _Draft) -> None:
    if operation.op != "add" and name not in draft.properties:
        raise Conflict(f"Property {name} does not exist.")
    if operation.op == "remove":
        del draft.properties[name]
        return
    if operation.only_new and name in draft.properties:
        raise Conflict(f"Property {name} already present.")
    draft.properties[name] = custom_properties.clean_property_value(
        name, operation.value
    )
    draft.touched[name] = None
