"""Export of the list of images: everything that matches, read in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from images.admin import exports
from images.admin.changelist import project_names
from images.models import Image, ImageLocation, LocationStatus, positions

BATCH: Final = 100  # images of one query: each can have 256 Ki characters of properties
STORED: Final = (
    "id",
    "name",
    "status",
    "visibility",
    "owner",
    "size",
    "virtual_size",
    "disk_format",
    "container_format",
    "min_disk",
    "min_ram",
    "protected",
    "os_hidden",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "created_at",
    "updated_at",
    "deleted_at",
    "tags",
    "properties",
)
COLUMNS: Final = (*STORED, "owner_name", "stores")

Row = dict[str, Any]


def response(images: QuerySet[Image], format: str) -> StreamingHttpResponse:
    """Return the images of a query as a file in the format csv or json. The newest image is first."""
    name = f"images-{timezone.now():%Y-%m-%d}"
    return exports.response(name, format, COLUMNS, _batches(images))


def _batches(images: QuerySet[Image]) -> Iterator[list[Row]]:
    """Yield the images of a query as rows, the newest first. Three queries for each batch."""
    newest = images.order_by("-created_at", "-pk")
    rows = newest.values(*STORED)
    names: dict[str, str] = {}
    while batch := list(rows[:BATCH]):
        owners = {row["owner"] for row in batch if row["owner"]}
        names |= project_names(owners - names.keys())
        stores = _stores([row["id"] for row in batch])
        yield [_complete(row, names, stores) for row in batch]
        last = batch[-1]
        position = positions.after(
            "created_at", True, last["created_at"], "pk", last["id"]
        )
        rows = newest.filter(position).values(*STORED)


def _complete(
    row: Row, names: Mapping[str, str], stores: Mapping[str, list[str]]
) -> Row:
    owner_name = names.get(row["owner"] or "")
    return row | {"owner_name": owner_name, "stores": stores.get(row["id"], [])}


def _stores(ids: list[str]) -> dict[str, list[str]]:
    """Return the stores that have the data of images: image id -> ids of stores. One query."""
    locations = ImageLocation.objects.filter(
        image__in=ids, status=LocationStatus.ACTIVE
    )
    stores: dict[str, list[str]] = {}
    for image_id, store in locations.order_by("pk").values_list("image", "store"):
        stores.setdefault(image_id, []).append(store)
    return stores
