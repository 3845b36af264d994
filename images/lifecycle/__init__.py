"""Every change of an image, for every door: lock, decide, write, and only then touch bytes.

Verbs take ids, never instances, so that nobody can pass a stale row. *Who may* is asked at
the door; *can it* is decided here, under the row's lock, for everyone.
"""

from __future__ import annotations

from images.lifecycle.data import read, upload
from images.lifecycle.leases import reap
from images.lifecycle.location_changes import (
    AddLocation,
    LocationChange,
    RemoveLocation,
    ReplaceLocations,
)
from images.lifecycle.locations import (
    add_location,
    remove_location,
    replace_locations,
)
from images.lifecycle.metadata import create, tag, untag, update
from images.lifecycle.status import deactivate, reactivate
from images.lifecycle.trash import delete, restore, scrub, scrub_due, sweep

__all__ = [
    "AddLocation",
    "LocationChange",
    "RemoveLocation",
    "ReplaceLocations",
    "add_location",
    "create",
    "deactivate",
    "delete",
    "reactivate",
    "read",
    "reap",
    "remove_location",
    "replace_locations",
    "restore",
    "scrub",
    "scrub_due",
    "sweep",
    "tag",
    "untag",
    "update",
    "upload",
]
