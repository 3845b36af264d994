"""Checks of the values of retention policies, from documents of clients.

The message of each error begins with the name of the bad value, such as ``keep.last``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from images import attributes, units
from images.documents import Cleaner, clean, clean_choice, clean_flag, needed
from images.errors import Invalid
from images.models import RetentionPolicy, SharedImages
from images.models.retention import MAX_NAME
from images.retention import schedule
from images.retention.facts import PROPERTY
from images.retention.rules import ACTIONS

MAX_LIST: Final = 1000  # families, projects, labels and tags of a policy
MAX_LAST: Final = 1_000_000_000
MAX_PER_RUN: Final = 10_000  # images; each has a row in the database
MAX_DAYS: Final = 36_500
READ_ONLY: Final = ("id", "next_run_at", "created_at", "updated_at", "version")
SCOPES: Final = ("families", "projects", "everything")

_NAME = re.compile(f"[a-z0-9][a-z0-9._-]{{0,{MAX_NAME - 1}}}")


def clean_new(document: object) -> dict[str, Any]:
    """Return the values of a new policy from a client's document, as they are stored.

    Raises Invalid for bad values, unknown names, and if the name, the scope or the rules are
    missing.
    """
    values = _clean(document, {"name": _name, **_CLEANERS})
    for name in ("name", "scope", "keep"):
        if name not in values:
            raise needed(RetentionPolicy, name)
    return values


def clean_changes(document: object) -> dict[str, Any]:
    """Return the changed values of a policy from a JSON merge patch (RFC 7396), as they are stored.

    Null restores the default of a value; an object or a list is replaced as a whole. Raises
    Invalid for bad values and unknown names, and for the name, which cannot be changed.
    """
    if isinstance(document, dict) and "name" in document:
        raise Invalid("The name of a policy cannot be changed. Create another policy.")
    return _clean(document, _CLEANERS)


def check(policy: RetentionPolicy) -> None:
    """Raise Invalid, with the name of the value, if a stored policy has a value of a newer release.

    Such a value remains if the service returns from the newer release to this one. Without a rule
    or a part of the scope that only that release knows, the policy would act on other images than
    intended.
    """
    _clean(policy.snapshot, _CLEANERS)


def document(policy: RetentionPolicy) -> dict[str, Any]:
    """Return the values of a policy that clients can set, as JSON: what ``clean_new`` accepts."""
    shown = {name: getattr(policy, name) for name in ("name", *_CLEANERS)}
    return shown | {"schedule": policy.schedule or None}


def _clean(document: object, cleaners: Mapping[str, Cleaner]) -> dict[str, Any]:
    return clean(document, cleaners, RetentionPolicy, READ_ONLY)


def _name(value: object) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise Invalid(
        f"Invalid name: it has at most {MAX_NAME} lower-case letters, digits and . _ -, and "
        "begins with a letter or digit."
    )


# Images


def _scope(value: object) -> dict[str, Any]:
    scope = _object("scope", value, SCOPES)
    if len(scope) != 1:
        raise Invalid(f"Invalid scope: name one of {', '.join(SCOPES)}.")
    if "everything" in scope:
        if scope["everything"] is not True:
            raise Invalid("Invalid scope.everything: it must be true.")
        return {"everything": True}
    ((kind, names),) = scope.items()
    return {kind: _texts(f"scope.{kind}", names)}


def _select(value: object) -> dict[str, Any]:
    select = _object(
        "select", value, ("tags", "name", "disk_format", "visibility", "properties")
    )
    cleaned: dict[str, Any] = {}
    if "tags" in select:
        cleaned["tags"] = _texts("select.tags", select["tags"])
    if "name" in select:
        cleaned["name"] = attributes.clean_text(select["name"], "select.name")
    choices = {
        "disk_format": attributes.DISK_FORMATS,
        "visibility": attributes.VISIBILITIES,
    }
    for name in choices.keys() & select.keys():
        cleaned[name] = clean_choice(f"select.{name}", choices[name], select[name])
    if "properties" in select:
        cleaned["properties"] = _properties(select["properties"])
    return cleaned


def _properties(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Invalid("Invalid select.properties: it must be a JSON object.")
    return {
        attributes.clean_text(name, "select.properties"): attributes.clean_text(
            content, f"select.properties.{name[:64]}"
        )
        for name, content in value.items()
    }


def _group_by(value: object) -> str:
    text = attributes.clean_text(value, "group_by", len(PROPERTY) + 255)
    if text in ("name", "none") or (text.startswith(PROPERTY) and text != PROPERTY):
        return text
    raise Invalid(f"Invalid group_by: it must be name, none or {PROPERTY}KEY.")


# Rules


def _keep(value: object) -> dict[str, Any]:
    keep = _object("keep", value, tuple(_RULES))
    if not keep:
        raise Invalid(
            'Invalid keep: a policy needs at least one rule, such as {"last": 3}.'
        )
    return {name: _RULES[name](f"keep.{name}", given) for name, given in keep.items()}


def _last(name: str, value: object) -> int:
    return _number(name, MAX_LAST, value)


def _property(name: str, value: object) -> str:
    if text := attributes.clean_text(value, name):
        return text
    raise Invalid(f"Invalid {name}: it must be the name of a property.")


def _span(name: str, value: object, *, least: float = 1) -> str:
    """Check a duration such as 90d, and return it unchanged.

    Raises Invalid for text that is no duration, less than ``least`` seconds, or too long a time.
    """
    text = attributes.clean_text(value, name, 32)
    try:
        seconds = units.parse_duration(text)
    except ValueError as error:
        raise Invalid(f"Invalid {name}: {error}") from None
    if least <= seconds <= MAX_DAYS * 86400:
        return text
    raise Invalid(f"Invalid {name}: it must be at most {MAX_DAYS}d, and not 0.")


def _actions(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise Invalid('Invalid actions: send a list such as [{"hide": "0d"}].')
    cleaned, last, before = [], -1, -1.0
    for number, item in enumerate(value):
        where = f"actions[{number}]"
        stage = _object(where, item, ACTIONS)
        if len(stage) != 1:
            raise Invalid(f"Invalid {where}: it must have one action and its time.")
        ((action, after),) = stage.items()
        text = _span(f"{where}.{action}", after, least=0)
        position, seconds = ACTIONS.index(action), units.parse_duration(text)
        if position <= last or seconds < before:
            raise Invalid(
                f"Invalid {where}: the order is {', '.join(ACTIONS)}, each at most once, and "
                "none before the previous one."
            )
        cleaned.append({action: text})
        last, before = position, seconds
    return cleaned


# Helpers


def _object(name: str, value: object, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(f"Invalid {name}: it must be a JSON object.")
    for member in value:
        if member not in known:
            raise Invalid(
                f"Invalid {name}: '{member[:64]}' is not known. Known: {', '.join(known)}."
            )
    return value


def _texts(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise Invalid(f"Invalid {name}: it must be a list of at most {MAX_LIST} texts.")
    return [attributes.clean_text(it, name) for it in value]


def _rule_texts(name: str, value: object) -> list[str]:
    if texts := _texts(name, value):
        return texts
    raise Invalid(f"Invalid {name}: the list is empty. Leave the rule out instead.")


def _number(name: str, most: int, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most:
        return value
    raise Invalid(f"Invalid {name}: it must be a whole number from 1 to {most}.")


_RULES: Final[dict[str, Callable[[str, Any], Any]]] = {
    "last": _last,
    "newer_than": _span,
    "used_within": _span,
    "labels": _rule_texts,
    "tags": _rule_texts,
    "until_property": _property,
}
_CLEANERS: Final[dict[str, Cleaner]] = {
    "scope": _scope,
    "select": _select,
    "group_by": _group_by,
    "keep": _keep,
    "shared": partial(clean_choice, "shared", tuple(SharedImages.values)),
    "actions": _actions,
    "schedule": schedule.clean,
    "enabled": partial(clean_flag, "enabled"),
    "max_per_run": partial(_number, "max_per_run", MAX_PER_RUN),
    "max_share": partial(_number, "max_share", 100),
}
