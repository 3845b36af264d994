"""The JSON schemas of metadata definitions, from which clients build their classes."""

from __future__ import annotations

from typing import Any

from images.api.v2.schemas import page
from images.attributes import MAX_LENGTH
from images.metadefs.documents import TYPES
from images.models import NamespaceVisibility
from images.models.metadef import MAX_DESCRIPTION, MAX_NAME

Schema = dict[str, Any]


def namespace() -> Schema:
    """Return the JSON schema of a namespace."""
    return {
        "name": "namespace",
        "properties": {
            "namespace": _name("Unique name of the namespace."),
            "display_name": _name("Name of the namespace for people."),
            "description": _text("What the definitions are for.", MAX_DESCRIPTION),
            "visibility": {
                "type": "string",
                "enum": NamespaceVisibility.values,
                "description": "Who sees the namespace: all projects, or only its owner.",
            },
            "protected": {
                "type": "boolean",
                "description": "If true, nothing in the namespace can be deleted.",
            },
            "owner": _text("ID of the project that owns the namespace.", MAX_LENGTH),
            "resource_type_associations": _list(_association()),
            "properties": {"$ref": "#/definitions/property"},
            "objects": _list(_object()),
            "tags": _list({"name": _name("Name of the tag.")}),
            **_times(),
            **_links(),
        },
        "required": ["namespace"],
        "additionalProperties": False,
        "definitions": _definitions(),
    }


def metadef_object() -> Schema:
    """Return the JSON schema of an object: a named group of properties in a namespace."""
    return {
        "name": "object",
        "properties": {**_object(), **_times(), **_links()},
        "required": ["name"],
        "additionalProperties": False,
        "definitions": _definitions(),
    }


def metadef_property() -> Schema:
    """Return the JSON schema of a property that a namespace defines."""
    return {
        "name": "property",
        "properties": {"name": _name("Name of the property."), **_property()},
        "required": ["type", "title", "name"],
        "additionalProperties": False,
        "definitions": _definitions(),
    }


def tag() -> Schema:
    """Return the JSON schema of a tag that a namespace proposes."""
    return {
        "name": "tag",
        "properties": {"name": _name("Name of the tag."), **_times()},
        "required": ["name"],
        "additionalProperties": False,
    }


def resource_type() -> Schema:
    """Return the JSON schema of an association of a namespace with a resource type."""
    return {
        "name": "resource_type_association",
        "properties": {**_association(), **_times()},
        "required": ["name"],
        "additionalProperties": False,
    }


def namespaces() -> Schema:
    """Return the JSON schema of a page of namespaces."""
    return _collection("namespaces", namespace())


def objects() -> Schema:
    """Return the JSON schema of the list of a namespace's objects."""
    return _collection("objects", metadef_object())


def tags() -> Schema:
    """Return the JSON schema of the list of a namespace's tags."""
    return _collection("tags", tag())


def resource_types() -> Schema:
    """Return the JSON schema of the list of a namespace's resource types."""
    name = "resource_type_associations"
    return _collection(name, resource_type())


def properties() -> Schema:
    """Return the JSON schema of an object with all properties of a namespace: name -> definition."""
    schema = _collection("properties", metadef_property())
    item = schema["properties"]["properties"]["items"]
    item["required"].remove("name")  # the key of the property is its name
    by_name = {"type": "object", "additionalProperties": item}
    schema["properties"]["properties"] = by_name
    return schema


def _collection(name: str, item: Schema) -> Schema:
    definitions = item.pop("definitions", None)
    return page(name, item) | ({"definitions": definitions} if definitions else {})


def _definitions() -> Schema:
    return {
        "positiveInteger": {"type": "integer", "minimum": 0},
        "positiveIntegerDefault0": {
            "allOf": [{"$ref": "#/definitions/positiveInteger"}, {"default": 0}]
        },
        "stringArray": {
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": True,
        },
        "property": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["title", "type"],
                "properties": {"name": _name("Name of the property."), **_property()},
            },
        },
    }


def _property() -> Schema:
    count = {"$ref": "#/definitions/positiveInteger"}
    count_or_none = {"$ref": "#/definitions/positiveIntegerDefault0"}
    kind = {"type": "string", "enum": [*TYPES, None]}
    return {
        "title": _text("Name of the property for people."),
        "description": _text("What the property is for."),
        "type": kind,
        "operators": {"type": "array", "items": {"type": "string"}},
        "required": {"$ref": "#/definitions/stringArray"},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "minLength": count_or_none,
        "maxLength": count,
        "pattern": {"type": "string", "format": "regex"},
        "enum": {"type": "array"},
        "readonly": {"type": "boolean"},
        "default": {},
        "items": {
            "type": "object",
            "properties": {"type": kind, "enum": {"type": "array"}},
        },
        "minItems": count_or_none,
        "maxItems": count,
        "uniqueItems": {"type": "boolean", "default": False},
        "additionalItems": {"type": "boolean"},
    }


def _object() -> Schema:
    return {
        "name": _name("Name of the object."),
        "description": _text("What the properties have in common."),
        "required": {"$ref": "#/definitions/stringArray"},
        "properties": {"$ref": "#/definitions/property"},
    }


def _association() -> Schema:
    return {
        "name": _name("Name of the resource type."),
        "prefix": _name("What names of properties begin with on this type."),
        "properties_target": _name(
            "Which of several sets of properties of the resource is meant."
        ),
    }


def _times() -> Schema:
    return {
        "created_at": _time("Time of the creation."),
        "updated_at": _time("Time of the last change."),
    }


def _links() -> Schema:
    return {
        "self": {"type": "string", "readOnly": True},
        "schema": {"type": "string", "readOnly": True},
    }


def _list(properties: Schema) -> Schema:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def _name(description: str) -> Schema:
    return _text(description, MAX_NAME)


def _text(description: str, longest: int | None = None) -> Schema:
    schema: Schema = {"type": "string", "description": description}
    return schema | ({"maxLength": longest} if longest else {})


def _time(description: str) -> Schema:
    return {
        "type": "string",
        "format": "date-time",
        "readOnly": True,
        "description": description,
    }
