"""Export of the list of images as CSV and as JSON: everything that matches, streamed in batches."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header

from images import db
from images.admin.changelist import project_names
from images.models import Image, ImageLocation, LocationStatus, positions

BATCH: Final = 1000  # images of one query
BLOCK: Final = 1 << 16  # characters that are sent at once
COLUMNS: Final = (
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
# Spreadsheets take text that begins so for a formula.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Record = dict[str, Any]


def response(images: QuerySet[Image], kind: str) -> StreamingHttpResponse:
    """Return the images of a query as a file; ``kind`` is one of KINDS. The newest image is first."""
    media_type, lines = KINDS[kind]
    content = _blocks(lines(records(images)))
    answer = StreamingHttpResponse(content, content_type=media_type)
    name = f"images-{timezone.now():%Y-%m-%d}.{kind}"
    answer["Content-Disposition"] = content_disposition_header(True, name)
    return answer


def _blocks(lines: Iterator[str]) -> Iterator[bytes]:
    block: list[str] = []
    length = 0
    for line in lines:
        block.append(line)
        length += len(line)
        if length >= BLOCK:
            yield "".join(block).encode()
            block, length = [], 0
    yield "".join(block).encode()


def records(images: QuerySet[Image]) -> Iterator[Record]:
    """Yield the images of a query as documents. Three queries for each thousand of them."""
    rows = images.order_by("-created_at", "-pk").only(*COLUMNS)
    names: dict[str, str] = {}
    while batch := list(rows[:BATCH]):
        owners = {image.owner for image in batch if image.owner}
        names |= project_names(owners - names.keys())
        stores = _stores(batch)
        # A client that reads slowly keeps no connection to the database.
        db.release_connection()
        for image in batch:
            yield _record(image, names, stores)
        last = batch[-1]
        position = positions.after("created_at", True, last.created_at, "pk", last.pk)
        rows = images.filter(position).order_by("-created_at", "-pk").only(*COLUMNS)


def _stores(images: list[Image]) -> dict[str, list[str]]:
    """Return the stores that have the data of images: image id -> ids of stores."""
    locations = ImageLocation.objects.filter(
        image__in=[image.pk for image in images], status=LocationStatus.ACTIVE
    )
    stores: dict[str, list[str]] = {}
    for image_id, store in locations.order_by("pk").values_list("image", "store"):
        stores.setdefault(image_id, []).append(store)
    return stores


def _record(
    image: Image, names: Mapping[str, str], stores: Mapping[str, list[str]]
) -> Record:
    record = {name: getattr(image, name) for name in COLUMNS}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in record.items()
    } | {
        "owner_name": names.get(image.owner or ""),
        "stores": stores.get(image.pk, []),
    }


def _csv(found: Iterator[Record]) -> Iterator[str]:
    lines: list[str] = []

    class Lines:
        write = staticmethod(lines.append)

    columns = [*COLUMNS, "owner_name", "stores"]
    writer = csv.DictWriter(Lines, columns)
    writer.writeheader()
    for record in found:
        yield from lines
        lines.clear()
        writer.writerow({name: _cell(value) for name, value in record.items()})
    yield from lines


def _cell(value: Any) -> Any:
    """Return a value as a cell of CSV: lists and dicts as JSON, and no text as a formula."""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def _json(found: Iterator[Record]) -> Iterator[str]:
    before = "[\n"
    for record in found:
        yield before + json.dumps(record, ensure_ascii=False)
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


KINDS: Final[Mapping[str, tuple[str, Callable[[Iterator[Record]], Iterator[str]]]]] = {
    "csv": ("text/csv;charset=utf-8", _csv),
    "json": ("application/json", _json),
}
