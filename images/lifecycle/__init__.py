"""The operations that change an image, for every interface.

Each operation locks the image's row, decides, writes, and only then touches stored data.
Operations take ids, never instances, so that no caller can pass a stale row. The interface
checks whether the caller has permission; this package checks, under the row's lock, whether the
image's state allows the operation.
"""

from __future__ import annotations

from images.lifecycle.caching import cache_later, cache_queued, tidy_cache
from images.lifecycle.changes import apply_checked, change, clean_changes
from images.lifecycle.checked_data import (
    NOTHING_STATED,
    SourceStatement,
    check_pinned_size,
    check_ready,
    check_size_cap,
    counted,
    owner_digests,
)
from images.lifecycle.copying import (
    check_copied,
    queue_image_copy,
    request_image_copy,
)
from images.lifecycle.deactivation import deactivate, reactivate
from images.lifecycle.deletion import (
    Trashed,
    delete,
    due_until,
    in_trash,
    overdue_count,
    remove_due,
    remove_due_objects,
    restore,
    retry_due_objects,
    scrub,
    scrub_at,
    scrub_due,
    trash_room,
    trash_total,
)
from images.lifecycle.downloading import (
    allows_damaged,
    check_download,
    read,
    serves_ranges,
)
from images.lifecycle.fetch_requests import (
    Source,
    check_url,
    probe_source,
    queue_fetch,
    request_fetch,
)
from images.lifecycle.location_preparation import (
    AddLocation,
    LocationChange,
    RemoveLocation,
    RemoveLocationAt,
    ReplaceLocations,
)
from images.lifecycle.location_requests import request_location
from images.lifecycle.locations import (
    add_location,
    remove_from_store,
    remove_location,
)
from images.lifecycle.metadata import create, tag, untag, update
from images.lifecycle.steps import Step
from images.lifecycle.storing import check_mounted, writable_store
from images.lifecycle.uploading import (
    receive,
    receive_staged,
    stores_with_data,
    upload,
)

__all__ = [
    "NOTHING_STATED",
    "AddLocation",
    "LocationChange",
    "RemoveLocation",
    "RemoveLocationAt",
    "ReplaceLocations",
    "Source",
    "SourceStatement",
    "Step",
    "Trashed",
    "add_location",
    "allows_damaged",
    "apply_checked",
    "cache_later",
    "cache_queued",
    "change",
    "check_copied",
    "check_download",
    "check_mounted",
    "check_pinned_size",
    "check_ready",
    "check_size_cap",
    "check_url",
    "clean_changes",
    "counted",
    "create",
    "deactivate",
    "delete",
    "due_until",
    "in_trash",
    "overdue_count",
    "owner_digests",
    "probe_source",
    "queue_fetch",
    "queue_image_copy",
    "reactivate",
    "read",
    "receive",
    "receive_staged",
    "remove_due",
    "remove_due_objects",
    "remove_from_store",
    "remove_location",
    "request_fetch",
    "request_image_copy",
    "request_location",
    "restore",
    "retry_due_objects",
    "scrub",
    "scrub_at",
    "scrub_due",
    "serves_ranges",
    "stores_with_data",
    "tag",
    "tidy_cache",
    "trash_room",
    "trash_total",
    "untag",
    "update",
    "upload",
    "writable_store",
]
