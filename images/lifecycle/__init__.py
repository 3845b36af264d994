"""Every change of an image, for every door: lock, decide, write, and only then touch bytes.

Verbs take ids, never instances, so that nobody can pass a stale row. *Who may* is asked at
the door; *can it* is decided here, under the row's lock, for everyone.
"""

from __future__ import annotations

from images.lifecycle.copies import Source, Waiting, copy, fetch_copy, next_copy
from images.lifecycle.data import read, upload, writable
from images.lifecycle.location_changes import (
    AddLocation,
    LocationChange,
    RemoveLocation,
    RemoveLocationAt,
    ReplaceLocations,
)
from images.lifecycle.locations import add_location, remove_location
from images.lifecycle.metadata import create, tag, untag, update
from images.lifecycle.status import deactivate, reactivate
from images.lifecycle.trash import (
    Trashed,
    delete,
    due_until,
    in_trash,
    late_total,
    remove_due,
    restore,
    scrub,
    scrub_at,
    scrub_due,
    sweep,
    sweep_all,
    trash_total,
)

__all__ = [
    "AddLocation",
    "LocationChange",
    "RemoveLocation",
    "RemoveLocationAt",
    "ReplaceLocations",
    "Source",
    "Trashed",
    "Waiting",
    "add_location",
    "copy",
    "create",
    "deactivate",
    "delete",
    "due_until",
    "fetch_copy",
    "in_trash",
    "late_total",
    "next_copy",
    "reactivate",
    "read",
    "remove_due",
    "remove_location",
    "restore",
    "scrub",
    "scrub_at",
    "scrub_due",
    "sweep",
    "sweep_all",
    "tag",
    "trash_total",
    "untag",
    "update",
    "upload",
    "writable",
]
