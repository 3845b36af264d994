"""The two JSON patch dialects of the Image API: from a request body to ``Changes``.

Works in memory only; who may make a change, and whether the status allows it, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from images import attributes
from images.attributes import Changes
from images.errors import Conflict, Forbidden, Invalid
from images.http import request_body

V2_1: Final = "application/openstack-images-v2.1-json-patch"  # RFC 6902
V2_0: Final = "application/openstack-images-v2.0-json-patch"  # its fourth draft
ACCEPT_PATCH: Final = f"{V2_1}, {V2_0}"
MAX_DEPTH: Final = 16  # of a value; what a location brings along needs three

Verb = Literal["add", "remove", "replace"]
VERBS: Final[tuple[Verb, ...]] = ("add", "remove", "replace")
CHANGEABLE: Final = attributes.BASE - attributes.READ_ONLY_ONCE_CREATED

_BAD_ESCAPE = re.compile("~(?![01])")
_INDEX = re.compile("[0-9]{1,9}")


class UnsupportedPatch(Invalid):
    """The body is in no dialect that is spoken here; ``ACCEPT_PATCH`` names those."""

    code = "unsupported-patch"


@dataclass(frozen=True)
class Operation:
    """One step of the document."""

    op: Verb
    path: tuple[str, ...]
    value: object = None
    only_new: bool = False  # an add may not overwrite, as it was in the draft


@dataclass(frozen=True)
class LocationOperation:
    """A step about ``/locations``. ``index`` None: at the end, or (replace) all of them."""

    op: Verb
    index: int | None
    value: object


def parse(content_type: str, content: bytes) -> list[Operation]:
    """The operations of a request body, in order.

    Raises UnsupportedPatch, and Invalid for whatever is wrong with the document whichever
    image it is for.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (V2_1, V2_0):
        raise UnsupportedPatch(
            f"The Content-Type of a patch must be one of: {ACCEPT_PATCH}"
        )
    read = _read_v2_1 if media_type == V2_1 else _read_v2_0
    return [read(_object(element)) for element in _elements(content)]


def plan(
    operations: list[Operation], image: Mapping[str, Any]
) -> tuple[Changes, list[LocationOperation]]:
    """What the operations, applied in order, change about ``image``.

    ``image`` needs only its key ``properties`` (a dict). Raises Invalid, Forbidden (what
    nobody may change), Conflict (there already, or not there) and OverLimit.
    """
    draft = _Draft(dict(image["properties"]))
    locations = [change for step in operations for change in _apply(step, draft)]
    new = [name for name in draft.properties if name not in image["properties"]]
    if new:
        attributes.check_property_count(attributes.counted(draft.properties))
    changes = Changes(
        fields=draft.fields,
        properties={
            name: draft.properties[name]
            for name in draft.touched
            if name in draft.properties
        },
        removed={name for name in image["properties"] if name not in draft.properties},
    )
    return changes, locations


@dataclass
class _Draft:
    """The image while the operations are applied."""

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
    if op not in VERBS:
        raise Invalid(f"The op of an operation must be one of: {', '.join(VERBS)}.")
    return _operation(op, element["path"], element)


def _read_v2_0(element: dict[str, object]) -> Operation:
    ops = [op for op in VERBS if op in element]
    if len(ops) != 1:
        raise Invalid(f"An operation needs exactly one of: {', '.join(VERBS)}.")
    (op,) = ops
    return _operation(op, element[op], element, only_new=op == "add")


def _operation(
    op: Verb, pointer: object, element: dict[str, object], only_new: bool = False
) -> Operation:
    path = _segments(pointer)
    if op == "remove":
        return Operation(op, path)
    if "value" not in element:
        raise Invalid(f"The operation '{op}' needs the member 'value'.")
    _check_value(element["value"])
    return Operation(op, path, element["value"], only_new)


def _segments(pointer: object) -> tuple[str, ...]:
    """The parts of a JSON pointer (RFC 6901), without the blanks around them."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise Invalid("A JSON pointer must be a string that starts with '/'.")
    if _BAD_ESCAPE.search(pointer):
        raise Invalid("In a JSON pointer '~' may stand only in '~0' and '~1'.")
    segments = [segment.strip() for segment in pointer[1:].split("/")]
    if not all(segments):
        raise Invalid("A JSON pointer must not end with '/' or have empty parts.")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in segments)


def _check_value(value: object) -> None:
    # Level by level: a deep value must not exhaust the stack of whoever walks it later.
    level = [value]
    for _ in range(MAX_DEPTH):
        for item in level:
            if isinstance(item, str):
                attributes.clean_text(item, "value of an operation", longest=None)
        level = [child for item in level for child in _children(item)]
    if level:
        raise Invalid("The value of an operation is nested too deeply.")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []


def _apply(step: Operation, draft: _Draft) -> Iterator[LocationOperation]:
    name = step.path[0]
    if name == "locations":
        yield _location_step(step)
        return
    attributes.check_changeable(name)
    if len(step.path) > 1:
        raise Invalid(
            f"Invalid JSON pointer for this resource: '/{name}' has no parts."
        )
    if name in CHANGEABLE:
        _apply_to_attribute(name, step, draft)
    else:
        _apply_to_property(attributes.clean_property_name(name), step, draft)


def _location_step(step: Operation) -> LocationOperation:
    if step.op == "replace":
        if len(step.path) == 1:
            return LocationOperation("replace", None, step.value)
    elif len(step.path) == 2:
        position = step.path[1]
        if position == "-" and step.op == "add":
            return LocationOperation("add", None, step.value)
        if _INDEX.fullmatch(position):
            return LocationOperation(step.op, int(position), step.value)
    raise Invalid(
        "Invalid JSON pointer for this resource: replace '/locations', "
        "add '/locations/-' or '/locations/N', remove '/locations/N'."
    )


def _apply_to_attribute(name: str, step: Operation, draft: _Draft) -> None:
    if step.op == "remove":
        raise Forbidden(f"Property {name} may not be removed.")
    if step.only_new:
        raise Conflict(f"Property {name} already present.")
    draft.fields |= attributes.clean_fields({name: step.value})


def _apply_to_property(name: str, step: Operation, draft: _Draft) -> None:
    if step.op != "add" and name not in draft.properties:
        raise Conflict(f"Property {name} does not exist.")
    if step.op == "remove":
        del draft.properties[name]
        return
    if step.only_new and name in draft.properties:
        raise Conflict(f"Property {name} already present.")
    draft.properties[name] = attributes.clean_property_value(name, step.value)
    draft.touched[name] = None
