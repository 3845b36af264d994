"""Checks of the JSON documents of the Metadata Definitions API before they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from images.attributes import MAX_LENGTH, clean_text
from images.errors import Conflict, Forbidden, ImageError, Invalid
from images.models import NamespaceVisibility
from images.models.metadef import MAX_DESCRIPTION, MAX_NAME

TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
READ_ONLY: Final = frozenset({"self", "schema", "created_at", "updated_at"})
READ_ONLY_TIMES: Final = frozenset({"created_at", "updated_at"})
MAX_DEPTH: Final = 20  # levels of an example or a choice
MAX_NUMBER: Final = 2**63 - 1

Values = dict[str, Any]
Schema = dict[str, Any]


@dataclass
class Tree:
    """A checked document of a namespace: its attributes (``fields``), and its content."""

    fields: Values
    associations: list[Values] = field(default_factory=list)
    objects: list[Values] = field(default_factory=list)
    properties: dict[str, Schema] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


def clean_namespace(document: object) -> Tree:
    """Check the document of a namespace and its content, and return the checked values.

    The result has an owner only if the document has one. Raises Invalid for a malformed
    document, Forbidden if the document sets a read-only attribute, Conflict if a name is given
    twice.
    """
    values = _known(document, "namespace", _NAMESPACE, READ_ONLY)
    name = _name("namespace", values.get("namespace"))
    if "/" in name:
        raise Invalid("Invalid namespace: it must not contain a slash.")
    fields = {
        "namespace": name,
        "display_name": values.get("display_name", ""),
        "description": values.get("description", ""),
        "visibility": values.get("visibility", NamespaceVisibility.PRIVATE.value),
        "protected": values.get("protected", False),
    }
    if "owner" in values:
        fields["owner"] = values["owner"]
    tree = Tree(
        fields,
        values.get("resource_type_associations", []),
        values.get("objects", []),
        values.get("properties", {}),
        values.get("tags", []),
    )
    check_different("resource types", [it["name"] for it in tree.associations])
    check_different("objects", [it["name"] for it in tree.objects])
    check_different("tags", map(tag_key, tree.tags))
    return tree


def clean_association(document: object) -> Values:
    """Check the document of a resource type association, and return the checked values.

    Raises Invalid for a malformed document, Forbidden if the document sets a read-only attribute.
    """
    values = _known(document, "resource type", _ASSOCIATION, READ_ONLY_TIMES)
    return {
        "name": _name("name of a resource type", values.get("name")),
        "prefix": values.get("prefix", ""),
        "properties_target": values.get("properties_target", ""),
    }


def clean_object(document: object) -> Values:
    """Check the document of an object, and return the checked values.

    An object is a named group of properties. Raises Invalid for a malformed document, Forbidden
    if the document sets a read-only attribute.
    """
    values = _known(document, "object", _OBJECT, READ_ONLY)
    return {
        "name": _name("name of an object", values.get("name")),
        "description": values.get("description", ""),
        "required": values.get("required", []),
        "properties": values.get("properties", {}),
    }


def clean_property(document: object) -> tuple[str, Schema]:
    """Check the document of a property; return its name, and its schema without the name.

    Raises Invalid for a malformed document, Forbidden if the document sets a read-only attribute.
    """
    schema = _schema("property", document)
    return _name("name of a property", schema.pop("name", None)), schema


def clean_tag(document: object) -> str:
    """Check the document of a tag, and return the tag's name.

    Raises Invalid for a malformed document, Forbidden if the document sets a read-only attribute.
    """
    values = _known(document, "tag", {"name": _short_text}, READ_ONLY_TIMES)
    return _name("name of a tag", values.get("name"))


def clean_tags(document: object) -> list[str]:
    """Check a document with a list of tags, and return their names.

    Raises Invalid for a malformed document, Forbidden if the document sets a read-only
    attribute, Conflict for tags that differ only in case.
    """
    values = _known(document, "tags", {"tags": _each(clean_tag)}, READ_ONLY_TIMES)
    if "tags" not in values:
        raise Invalid("Invalid tags: the list tags is missing.")
    names: list[str] = values["tags"]
    check_different("tags", map(tag_key, names))
    return names


def tag_key(name: str) -> str:
    """Return the name of a tag in a form without case: equal results mean the same tag."""
    return name.casefold()


def check_different(
    what: str, values: Iterable[str], refusal: type[ImageError] = Conflict
) -> None:
    """Raise an error of the class ``refusal`` if a value occurs twice.

    ``what`` names the values in the message.
    """
    given = list(values)
    if len(set(given)) < len(given):
        raise refusal(f"Invalid {what}: one of them is given twice.")


# Values. Each check gets the name of the value, for its message, and the value.

Check = Callable[[str, Any], Any]


def _known(
    document: object,
    what: str,
    checks: Mapping[str, Check],
    read_only: frozenset[str] = frozenset(),
) -> Values:
    """Check a JSON object that can have only the keys of ``checks``; return the checked values.

    ``checks`` has for each key the function that checks its value. ``what`` names the object in
    messages. Raises Invalid, and Forbidden for a key in ``read_only``.
    """
    if not isinstance(document, dict):
        raise Invalid(f"Invalid {what}: it must be a JSON object.")
    for key in document:
        if key in read_only:
            raise Forbidden(f"Attribute '{key}' is read-only.")
        if key not in checks:
            raise Invalid(f"Invalid {what}: there is no attribute '{key[:64]}'.")
    return {key: checks[key](key, value) for key, value in document.items()}


def _text(longest: int | None, what: str, value: object) -> str:
    return clean_text(value, what, longest)


def _name(what: str, value: object) -> str:
    if value is None:
        raise Invalid(f"Invalid {what}: it is missing.")
    text = clean_text(value, what, MAX_NAME)
    if not text.strip() or text.endswith("/"):
        raise Invalid(f"Invalid {what}: it must not be blank or end with a slash.")
    return text


def _flag(what: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"Invalid {what}: it must be true or false.")
    return value


def _choice(choices: tuple[str, ...], what: str, value: object) -> str:
    if not isinstance(value, str) or value not in choices:
        raise Invalid(f"Invalid {what}: it must be one of {', '.join(choices)}.")
    return value


def _number(what: str, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(f"Invalid {what}: it must be a number.")
    return _anything(what, value)  # type: ignore[no-any-return]


def _length(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Invalid(f"Invalid {what}: it must be an integer that is not negative.")
    return _anything(what, value)  # type: ignore[no-any-return]


def _list(what: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Invalid(f"Invalid {what}: it must be a list.")
    return value


def _each(clean: Callable[[object], Any]) -> Check:
    """Return a check of a list that applies ``clean`` to each of its items.

    Read-only attributes are removed from the items first, because clients send back what they
    have read.
    """
    return lambda what, value: [clean(_settable(it)) for it in _list(what, value)]


def _settable(document: object) -> object:
    if not isinstance(document, dict):
        return document
    return {key: it for key, it in document.items() if key not in READ_ONLY}


def _texts(what: str, value: object) -> list[str]:
    return [clean_text(item, what, None) for item in _list(what, value)]


def _different_texts(what: str, value: object) -> list[str]:
    texts = _texts(what, value)
    check_different(what, texts, Invalid)
    return texts


def _choices(what: str, value: object) -> list[Any]:
    return _anything(what, _list(what, value))  # type: ignore[no-any-return]


def _anything(what: str, value: Any) -> Any:
    """Check that every database can store a JSON value, and return the value unchanged.

    Raises Invalid for too many levels, too large numbers, and text that cannot be stored.
    ``what`` names the value in the message.
    """
    level = [value]
    for _depth in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                clean_text(item, what, None)
            elif isinstance(item, int | float) and not abs(item) <= MAX_NUMBER:
                raise Invalid(f"Invalid {what}: a number is too large.")
            elif isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
        level = below
    if level:
        raise Invalid(f"Invalid {what}: it has more than {MAX_DEPTH} levels.")
    return value


def _schema(what: str, value: object) -> Schema:
    schema = _known(value, what, _PROPERTY, READ_ONLY_TIMES)
    for key in ("title", "type"):
        if key not in schema:
            raise Invalid(f"Invalid {what}: it needs a {key}.")
    return schema


def _schemas(what: str, value: object) -> dict[str, Schema]:
    if not isinstance(value, dict):
        raise Invalid(f"Invalid {what}: it must be an object of properties by name.")
    schemas = {}
    for name, schema in value.items():
        _name("name of a property", name)
        cleaned = _schema(f"property '{name}'", schema)
        cleaned.pop("name", None)  # the key is the name
        schemas[name] = cleaned
    return schemas


def _items(what: str, value: object) -> Schema:
    return _known(value, what, {"type": _type, "enum": _choices})


_type: Final[Check] = partial(_choice, TYPES)
_any_text: Final[Check] = partial(_text, None)
_short_text: Final[Check] = partial(_text, MAX_NAME)

_PROPERTY: Final[dict[str, Check]] = {
    "name": _short_text,
    "title": _any_text,
    "description": _any_text,
    "type": _type,
    "operators": _texts,
    "required": _different_texts,
    "minimum": _number,
    "maximum": _number,
    "minLength": _length,
    "maxLength": _length,
    "pattern": _any_text,
    "enum": _choices,
    "readonly": _flag,
    "default": _anything,
    "items": _items,
    "minItems": _length,
    "maxItems": _length,
    "uniqueItems": _flag,
    "additionalItems": _flag,
}
_OBJECT: Final[dict[str, Check]] = {
    "name": _short_text,
    "description": _any_text,
    "required": _different_texts,
    "properties": _schemas,
}
_ASSOCIATION: Final[dict[str, Check]] = {
    "name": _short_text,
    "prefix": _short_text,
    "properties_target": _short_text,
}
_NAMESPACE: Final[dict[str, Check]] = {
    "namespace": _short_text,
    "display_name": _short_text,
    "description": partial(_text, MAX_DESCRIPTION),
    "visibility": partial(_choice, tuple(NamespaceVisibility.values)),
    "protected": _flag,
    "owner": partial(_text, MAX_LENGTH),
    "resource_type_associations": _each(clean_association),
    "objects": _each(clean_object),
    "properties": _schemas,
    "tags": _each(clean_tag),
}
