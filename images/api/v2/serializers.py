"""From an image's row to its JSON object. Written by hand, because lists spend their time here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from images import lifecycle, stores
from images.access import Caller, may
from images.errors import DataMissing
from images.models.rows import Row

PLAIN = (
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


def image(row: Row, caller: Caller) -> dict[str, Any]:
    """Return an image as clients see it: properties on the same level as attributes."""
    path = f"/v2/images/{row['id']}"
    document = {**row["properties"], **{name: row[name] for name in PLAIN}}
    document["created_at"] = _time(row["created_at"])
    document["updated_at"] = _time(row["updated_at"])
    if row["deleted_at"]:  # only admins get the rows of deleted images
        document["deleted_at"] = _time(row["deleted_at"])
        deleted_at = datetime.fromisoformat(row["deleted_at"])
        document["scrub_at"] = _time(str(lifecycle.scrub_at(deleted_at)))
    document["locations"] = []
    if row["locations"]:
        _add_locations(document, row, caller)
    document["tags"] = row["tags"]
    document["self"] = path
    document["file"] = f"{path}/file"
    document["schema"] = "/v2/schemas/image"
    return document


def _add_locations(document: dict[str, Any], row: Row, caller: Caller) -> None:
    if row["status"] == "deactivated" and not caller.is_admin:
        return
    locations = [(store, key) for store, key, _ in row["locations"]]
    heaviest = [store for store, _ in stores.heaviest_first(locations)]
    document["stores"] = ",".join(dict.fromkeys(heaviest))
    # URLs can reveal where the operator keeps data, so a rule of their own allows them.
    if may(caller, "get_image_location", row):
        document["locations"] = [
            {"url": _url(store, key), "metadata": {**metadata, "store": store}}
            for store, key, metadata in row["locations"]
        ]


def _url(store: str, key: str) -> str:
    try:
        return stores.get_for_location(store).url(key)
    except DataMissing:
        return ""  # the operator has removed the store from the configuration


def _time(time: str) -> str:
    return f"{time[:10]}T{time[11:19]}Z"
