"""Permissions: callers, rules, and the images that a caller sees. Knows no HTTP, no life cycle."""

from __future__ import annotations

from images.access.caller import INTERFACES, Caller, implied, operator, staff
from images.access.rules import (
    LIMITS,
    RULES,
    Rule,
    Target,
    check,
    check_may_add,
    check_owner,
    check_visibility,
    key_allows,
    may,
    new_image,
    overrides,
    owns,
    refused,
    rule_allows,
)
from images.access.visibility import (
    current,
    find,
    get_image,
    get_remembered_image,
    missing,
    require,
    seen_by,
    visible,
)

__all__ = [
    "INTERFACES",
    "LIMITS",
    "RULES",
    "Caller",
    "Rule",
    "Target",
    "check",
    "check_may_add",
    "check_owner",
    "check_visibility",
    "current",
    "find",
    "get_image",
    "get_remembered_image",
    "implied",
    "key_allows",
    "may",
    "missing",
    "new_image",
    "operator",
    "overrides",
    "owns",
    "refused",
    "require",
    "rule_allows",
    "seen_by",
    "staff",
    "visible",
]
