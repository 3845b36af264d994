"""The JSON schemas that clients build their models from. Documents only; no view."""

from __future__ import annotations

from typing import Any

from images import property_schema
from images.attributes import (
    CONTAINER_FORMATS,
    DISK_FORMATS,
    ID_PATTERN,
    MAX_INTEGER,
    MAX_LENGTH,
    VISIBILITIES,
)
from images.models import MemberStatus, Status

Schema = dict[str, Any]


def image() -> Schema:
    """The schema of one image. Whatever else an image has is a custom property: a string."""
    base = _settable() | _read_only() | {"locations": _locations()}
    return {
        "name": "image",
        "properties": _described() | base,
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def images() -> Schema:
    """The schema of a page of images."""
    return {
        "name": "images",
        "properties": {
            "images": {"type": "array", "items": image()},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def member() -> Schema:
    """The schema of one project with which an image is shared."""
    return {
        "name": "member",
        "properties": {
            "member_id": _string("The project with which the image is shared."),
            "image_id": _string("The image.") | {"pattern": ID_PATTERN},
            "status": {
                "type": "string",
                "enum": MemberStatus.values,
                "description": "Whether the image is in that project's lists.",
            },
            "created_at": _string("When the image was shared with it."),
            "updated_at": _string("When the status was last changed."),
            "schema": _string("Path of this schema.") | {"readOnly": True},
        },
    }


def members() -> Schema:
    """The schema of all members of an image."""
    return {
        "name": "members",
        "properties": {
            "members": {"type": "array", "items": member()},
            "schema": {"type": "string"},
        },
        "links": [{"rel": "describedby", "href": "{schema}"}],
    }


def _described() -> Schema:
    return {
        name: {**schema, "is_base": False}
        for name, schema in property_schema.described().items()
    }


def _settable() -> Schema:
    return {
        "id": {
            "type": "string",
            "pattern": ID_PATTERN,
            "description": "Unique for ever; random unless given on creation.",
        },
        "name": _text("What people call the image.", MAX_LENGTH),
        "owner": _text("The project that the image belongs to.", MAX_LENGTH),
        "visibility": {
            "type": "string",
            "enum": list(VISIBILITIES),
            "description": "Who can see the image.",
        },
        "protected": _flag("While true, the image cannot be deleted."),
        "os_hidden": _flag("While true, lists leave the image out unless asked."),
        "disk_format": _format("How the disk inside is laid out.", DISK_FORMATS),
        "container_format": _format("What the disk is packed in.", CONTAINER_FORMATS),
        "min_ram": _amount("Memory that an instance needs to boot it, in MiB."),
        "min_disk": _amount("Disk that an instance needs to boot it, in GiB."),
        "tags": {
            "type": "array",
            "items": {"type": "string", "maxLength": MAX_LENGTH},
            "description": "Words to find the image by.",
        },
    }


def _read_only() -> Schema:
    fields = {
        "status": {
            "type": "string",
            "enum": Status.values,
            "description": "Where the image is in its life cycle.",
        },
        "size": _nullable("integer", "Length of the data in bytes."),
        "virtual_size": _nullable(
            "integer", "Size of the disk that the data describes, in bytes."
        ),
        "checksum": _text("MD5 of the data, in hex.", 32),
        "os_hash_algo": _text("Name of the algorithm of os_hash_value.", 64),
        "os_hash_value": _text("Digest of the data, in hex.", 128),
        "created_at": _string("When the image was registered."),
        "updated_at": _string("When the image was last changed."),
        "direct_url": _string("Address of the data in its store."),
        "stores": _string("The stores that have the data, separated by commas."),
        "self": _string("Path of the image."),
        "file": _string("Path of its data."),
        "schema": _string("Path of this schema."),
    }
    return {name: field | {"readOnly": True} for name, field in fields.items()}


def _locations() -> Schema:
    return {
        "type": "array",
        "description": "Where the data is kept; shown to the privileged only.",
        "items": {
            "type": "object",
            "properties": {
                "url": {"type": "string", "maxLength": MAX_LENGTH},
                "metadata": {"type": "object"},
                "validation_data": _validation_data(),
            },
            "required": ["url", "metadata"],
        },
    }


def _validation_data() -> Schema:
    return {
        "type": "object",
        "description": "What is known of data that is already in place.",
        "writeOnly": True,
        "additionalProperties": False,
        "properties": {
            "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
            "os_hash_algo": {"type": "string", "maxLength": 64},
            "os_hash_value": {"type": "string", "maxLength": 128},
        },
        "required": ["os_hash_algo", "os_hash_value"],
    }


def _nullable(kind: str, description: str) -> Schema:
    return {"type": ["null", kind], "description": description}


def _text(description: str, longest: int) -> Schema:
    return _nullable("string", description) | {"maxLength": longest}


def _format(description: str, choices: tuple[str, ...]) -> Schema:
    return _nullable("string", description) | {"enum": [None, *choices]}


def _string(description: str) -> Schema:
    return {"type": "string", "description": description}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _amount(description: str) -> Schema:
    return {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "description": description,
    }
