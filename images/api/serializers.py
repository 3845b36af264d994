"""Conversion of an image's row to its JSON object in API v2.

The conversion uses no serializers of DRF, because lists spend most of their time here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from images import image_document, lifecycle, stores
from images.access import Caller, may, readable
from images.errors import StoreNotConfigured
from images.models import OPEN_STATUSES, TargetStatus, TransferStatus
from images.models.rows import Location, Row


def image(row: Row, caller: Caller) -> dict[str, Any]:
    """Return an image as a JSON object of API v2.

    Custom properties are members of the same object as the attributes. Properties that the
    caller is not allowed to read are left out.
    """
    document = image_document.fields(row, readable(caller, row["properties"]))
    if row["deleted_at"]:  # only admins get the rows of deleted images
        document["deleted_at"] = image_document.time(row["deleted_at"])
        deleted_at = datetime.fromisoformat(row["deleted_at"])
        document["scrub_at"] = image_document.time(str(lifecycle.scrub_at(deleted_at)))
    if row["task"]:
        document |= _import_state(*row["task"].split(" "))
    document["locations"] = []
    if row["locations"]:
        _add_locations(document, row, caller)
    document |= image_document.links(row)
    return document


def _import_state(status: str, task_id: str, targets: str) -> dict[str, str]:
    """Return the ``os_glance_…`` properties that show clients the progress of an import of the image.

    ``status`` is that of the transfer. ``targets`` are the stores of the import with their
    statuses: ``store=status,store=status``.
    """
    is_open = status in OPEN_STATUSES
    stores_by_status: dict[str, list[str]] = {}
    for store, target_status in (one.split("=") for one in targets.split(",")):
        stores_by_status.setdefault(target_status, []).append(store)
    waiting = stores_by_status.get(TargetStatus.WAITING, [])
    failed = stores_by_status.get(TargetStatus.FAILED, [])
    if status == TransferStatus.FAILED and not failed:
        failed = waiting  # the import failed for another reason than a store
    state = {"os_glance_import_task": str(UUID(task_id))} if is_open else {}
    return state | {
        "os_glance_importing_to_stores": ",".join(waiting) if is_open else "",
        "os_glance_failed_import": ",".join(failed),
    }


def visible_locations(row: Row, caller: Caller) -> list[Location]:
    """Return the locations of an image whose URLs the caller is allowed to see.

    The URLs of stores reveal where the operator keeps data. IMAGECATALOG_SHOW_LOCATIONS says
    whether other callers than admins and services see them.
    """
    shown_to = settings.IMAGECATALOG_SHOW_LOCATIONS
    if shown_to == "off" or (row["status"] == "deactivated" and not caller.is_admin):
        return []
    if not may(caller, "get_image_location", row):
        return []
    locations: list[Location] = row["locations"]
    if caller.is_admin or caller.is_service or shown_to == "all":
        return locations
    if shown_to == "privileged":
        return []
    return [location for location in locations if location[0] == stores.HTTP.id]


def locations(visible: Iterable[Location]) -> list[dict[str, Any]]:
    """Return these locations as JSON objects."""
    return [
        {"url": _url(store, key), "metadata": {**metadata, "store": store}}
        for store, key, metadata in visible
    ]


def _add_locations(document: dict[str, Any], row: Row, caller: Caller) -> None:
    if row["status"] == "deactivated" and not caller.is_admin:
        return
    copies = [(store, key) for store, key, _ in row["locations"]]
    heaviest = stores.heaviest_first(copies)
    document["stores"] = ",".join(dict.fromkeys(store for store, _ in heaviest))
    visible = visible_locations(row, caller)
    if not visible:
        return
    document["locations"] = shown = locations(visible)
    urls = {
        (store, key): location["url"]
        for (store, key, _), location in zip(visible, shown, strict=True)
    }
    if best := next(urls[copy] for copy in heaviest if copy in urls):
        document["direct_url"] = best


def _url(store: str, key: str) -> str:
    try:
        return stores.get_for_location(store).url(key)
    except StoreNotConfigured:
        return ""  # the operator has removed the store from the configuration
