"""Families: names that always mean one image, the current version among many.

Each operation locks the family, checks the caller's permission and the state, and changes images by
the operations of ``images.lifecycle``, in one transaction.
"""

from __future__ import annotations

from images.families.changes import ImageChange, Outcome, dry_run, get_version
from images.families.definition import create, delete, update
from images.families.promotion import promote, rollback
from images.families.versions import add, change, remove

__all__ = [
    "ImageChange",
    "Outcome",
    "add",
    "change",
    "create",
    "delete",
    "dry_run",
    "get_version",
    "promote",
    "remove",
    "rollback",
    "update",
]
