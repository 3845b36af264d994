"""From a row to the JSON object of an image."""

from __future__ import annotations

from typing import Any

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
    "properties",
)


def image(row: Row) -> dict[str, Any]:
    """All that API v1 tells of an image."""
    return {
        **{name: row[name] for name in PLAIN},
        "size": _size(row),
        "is_public": row["visibility"] == "public",
        "created_at": _time(row["created_at"]),
        "updated_at": _time(row["updated_at"]),
        "deleted_at": row["deleted_at"] and _time(row["deleted_at"]),
        "deleted": row["deleted_at"] is not None,
    }


def brief(row: Row) -> dict[str, Any]:
    """What the short list tells."""
    return {**{name: row[name] for name in BRIEF}, "size": _size(row)}


def _size(row: Row) -> int:
    return row["size"] or 0


def _time(moment: str) -> str:
    """Of a row's time, which is in UTC: without the zone."""
    return f"{moment[:10]}T{moment[11:].partition('+')[0]}"
