"""Permissions: callers, rules, and the images that a caller sees. Knows no HTTP, no life cycle."""

from __future__ import annotations

from images.access.caller import INTERFACES, Caller, implied, operator, staff
from images.access.rules import (
    RULES,
    Rule,
    Target,
    check,
    check_visibility,
    key_allows,
    may,
    new_image,
    overrides,
)
from images.access.visibility import (
    get_image,
    get_remembered_image,
    missing,
    see,
    seen_by,
)

__all__ = [
    "INTERFACES",
    "RULES",
    "Caller",
    "Rule",
    "Target",
    "check",
    "check_visibility",
    "get_image",
    "get_remembered_image",
    "implied",
    "key_allows",
    "may",
    "missing",
    "new_image",
    "operator",
    "overrides",
    "see",
    "seen_by",
    "staff",
]
