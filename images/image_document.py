"""The parts of an image's JSON object in API v2 that are the same for every caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from images.models.rows import Row

PLAIN: Final = (
    "name",
    "disk_format",
    "container_format",
    "visibility",
    "size",
    "virtual_size",
    "status",
    "checksum",
    "protected",
    "min_ram",
    "min_disk",
    "owner",
    "os_hidden",
    "os_hash_algo",
    "os_hash_value",
    "id",
)


def fields(row: Row, properties: Mapping[str, str]) -> dict[str, Any]:
    """Return the attributes and the given custom properties of an image, and its times."""
    document = {**properties, **{name: row[name] for name in PLAIN}}
    document["created_at"] = time(row["created_at"])
    document["updated_at"] = time(row["updated_at"])
    return document


def links(row: Row) -> dict[str, Any]:
    """Return the tags of an image, and the paths of its resources."""
    path = f"/v2/images/{row['id']}"
    return {
        "tags": row["tags"],
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }


def time(text: str) -> str:
    """Convert the text of a time in a row, which is in UTC, to ISO 8601 without a fraction."""
    return f"{text[:10]}T{text[11:19]}Z"
