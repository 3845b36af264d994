"""The JSON schemas of images, members and tasks, from which clients build their classes."""

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
    """Return the JSON schema of an image, with the properties that the operator has described.

    Any member that the schema does not list is a string property.
    """
    schema = plain_image()
    return schema | {"properties": _described() | schema["properties"]}


def plain_image() -> Schema:
    """Return the JSON schema of an image, without the properties that the operator has described."""
    return {
        "name": "image",
        "properties": _settable() | _read_only() | {"locations": _locations()},
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def images() -> Schema:
    """Return the JSON schema of a page of images."""
    return page("images", image())


def page(name: str, item: Schema) -> Schema:
    """Return the JSON schema of a page of a list; ``item`` is the schema of an entry."""
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
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
    """Return the JSON schema of a member: a project with which an image is shared."""
    return {
        "name": "member",
        "properties": {
            "member_id": _string("ID of the project with which the image is shared."),
            "image_id": _string("ID of the image.") | {"pattern": ID_PATTERN},
            "status": {
                "type": "string",
                "enum": MemberStatus.values,
                "description": (
                    "Whether the project accepted the image. By default, the image lists "
                    "of the project have only accepted images."
                ),
            },
            "created_at": _string("Time when the image was shared with the project."),
            "updated_at": _string("Time of the last change of the status."),
            "schema": _string("Path of this schema.") | {"readOnly": True},
        },
    }


def members() -> Schema:
    """Return the JSON schema of the list of an image's members."""
    return _list("members", member())


def task() -> Schema:
    """Return the JSON schema of a task: a requested import and its result."""
    return {
        "name": "task",
        "properties": {
            "id": _string("ID of the task.") | {"pattern": ID_PATTERN},
            "type": {
                "type": "string",
                "enum": ["import", "api_image_import", "location_import"],
                "description": "Kind of the task.",
            },
            "status": {
                "type": "string",
                "enum": ["pending", "processing", "success", "failure"],
                "description": "What became of the task so far.",
            },
            "input": _nullable("object", "What was asked for."),
            "result": _nullable("object", "What a successful task has made."),
            "message": _string("Reason of a failure."),
            "owner": _nullable("string", "ID of the project that asked for the task."),
            "image_id": _string("ID of the image."),
            "request_id": _string("ID of the request that asked for the task."),
            "user_id": _string("ID of the user who asked for the task."),
            "created_at": _string("Time when the task was asked for."),
            "updated_at": _string("Time of the last sign of the task."),
            "expires_at": _nullable("string", "Time when the ended task is forgotten."),
            "self": _string("Path of the task."),
            "schema": _string("Path of this schema."),
        },
    }


def tasks() -> Schema:
    """Return the JSON schema of a page of tasks."""
    return _list("tasks", task())


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
            "description": "ID of the image: random unless set on creation. IDs are never reused.",
        },
        "name": _text(
            "Name of the image. Several images can have the same name.", MAX_LENGTH
        ),
        "owner": _text("ID of the project that owns the image.", MAX_LENGTH),
        "visibility": {
            "type": "string",
            "enum": list(VISIBILITIES),
            "description": (
                "Projects that can see the image: all of them (public, community), the "
                "owner and the members (shared), or only the owner (private)."
            ),
        },
        "protected": _flag("If true, the image cannot be deleted."),
        "os_hidden": _flag("If true, image lists leave the image out by default."),
        "disk_format": _format("Format of the disk in the image.", DISK_FORMATS),
        "container_format": _format(
            "Format of the container around the disk.", CONTAINER_FORMATS
        ),
        "min_ram": _amount(
            "Minimum memory of an instance that boots the image, in MiB."
        ),
        "min_disk": _amount(
            "Minimum disk of an instance that boots the image, in GiB."
        ),
        "tags": {
            "type": "array",
            "items": {"type": "string", "maxLength": MAX_LENGTH},
            "description": "Tags, by which image lists can be filtered.",
        },
    }


def _read_only() -> Schema:
    fields = {
        "status": {
            "type": "string",
            "enum": Status.values,
            "description": "Status of the image in its life cycle.",
        },
        "size": _nullable("integer", "Length of the data in bytes."),
        "virtual_size": _nullable(
            "integer", "Size of the virtual disk in the data, in bytes."
        ),
        "checksum": _text("MD5 digest of the data, in hexadecimal.", 32),
        "os_hash_algo": _text("Algorithm of the digest in os_hash_value.", 64),
        "os_hash_value": _text("Digest of the data, in hexadecimal.", 128),
        "created_at": _string("Time when the image was created."),
        "updated_at": _string("Time of the last change of the image."),
        "direct_url": _string("URL of the data in a store."),
        "stores": _string("IDs of the stores that have the data, separated by commas."),
        "self": _string("Path of the image."),
        "file": _string("Path of the image's data."),
        "schema": _string("Path of this schema."),
    }
    return {name: field | {"readOnly": True} for name, field in fields.items()}


def _locations() -> Schema:
    return {
        "type": "array",
        "description": "Locations of the data. The list is empty for callers without permission "
        "to see locations.",
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
        "description": "Digests of the data at the location.",
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


def _list(name: str, item: Schema) -> Schema:
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "schema": {"type": "string"},
        },
        "links": [{"rel": "describedby", "href": "{schema}"}],
    }
