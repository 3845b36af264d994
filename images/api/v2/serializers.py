"""From a row to the JSON object of an image. Written by hand: it is the hot path of lists."""

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
    """The image as clients see it: custom properties on the same level as the attributes."""
    path = f"/v2/images/{row['id']}"
    document = {**row["properties"], **{name: row[name] for name in PLAIN}}
    document["created_at"] = _time(row["created_at"])
    document["updated_at"] = _time(row["updated_at"])
    if row["deleted_at"]:  # only admins list the trash, and nobody else gets such a row
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
    copies = [(store, key) for store, key, _ in row["locations"]]
    heaviest = [store for store, _ in stores.heaviest_first(copies)]
    document["stores"] = ",".join(dict.fromkeys(heaviest))
    # URLs may tell where the operator keeps data: only for those whom the rule names.
    if may(caller, "get_image_location", row):
        document["locations"] = [
            {"url": _url(store, key), "metadata": {**metadata, "store": store}}
            for store, key, metadata in row["locations"]
        ]


def _url(store: str, key: str) -> str:
    try:
        return stores.holding(store).url(key)
    except DataMissing:
        return ""  # a store that the operator has taken away


def _time(moment: str) -> str:
    return f"{moment[:10]}T{moment[11:19]}Z"
