"""Conversion of an image's row to its JSON object in API v1."""

from __future__ import annotations

from typing import Any

from images.access import Caller, readable
from images.models.rows import Row

BRIEF = ("id", "name", "disk_format", "container_format", "checksum")
PLAIN = (
    *BRIEF,
    "status",
    "virtual_size",
    "min_disk",
    "min_ram",
    "owner",
    "protected",
)


def image(row: Row, caller: Caller) -> dict[str, Any]:
    """Return the JSON object of an image, with all its attributes.

    Properties that the caller is not allowed to read are left out.
    """
    return {
        **{name: row[name] for name in PLAIN},
        "properties": readable(caller, row["properties"]),
        "size": _size(row),
        "is_public": row["visibility"] == "public",
        "created_at": _time(row["created_at"]),
        "updated_at": _time(row["updated_at"]),
        "deleted_at": row["deleted_at"] and _time(row["deleted_at"]),
        "deleted": row["deleted_at"] is not None,
    }


def brief(row: Row, caller: Caller) -> dict[str, Any]:
    """Return the JSON object of an image with its main attributes, for lists without details."""
    return {**{name: row[name] for name in BRIEF}, "size": _size(row)}


def _size(row: Row) -> int:
    return row["size"] or 0


def _time(time: str) -> str:
    """Convert the text of a time in UTC, as in a row, to ISO 8601 without a time zone."""
    return f"{time[:10]}T{time[11:].partition('+')[0]}"
