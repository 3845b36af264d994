"""Protection of custom properties: which callers can create, read, update and delete them.

IMAGECATALOG_PROPERTY_PROTECTION_FILE has the format of Glance's property protections: the name of a
section is a regular expression that is searched in the name of the property, and the first section
that matches applies. Properties without a matching section are forbidden for everybody. Commands
and the background worker act for the operator, who writes the file, and are not restricted.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from images import errors
from images.access.caller import Caller
from images.access.rules import named_rule
from images.attributes import BASE, READ_ONLY, is_internal, is_managed

Operation = Literal["create", "read", "update", "delete"]
Value = TypeVar("Value")

OPERATIONS: tuple[Operation, ...] = ("create", "read", "update", "delete")
EVERYBODY, NOBODY = "@", "!"
UNRESTRICTED = frozenset({"command", "worker"})  # interfaces
NO_IMAGE: Mapping[str, Any] = {"owner": None}  # policies are checked without an image


class Section(NamedTuple):
    """A section of the property protection file, for the properties whose names match ``pattern``.

    ``allowed`` has, for each operation, the names of the roles (or of one policy) that allow it.
    """

    pattern: re.Pattern[str]
    allowed: Mapping[Operation, frozenset[str]]


def protections() -> tuple[Section, ...]:
    """Return the sections of IMAGECATALOG_PROPERTY_PROTECTION_FILE; empty if that is not set.

    Raises ImproperlyConfigured if the file cannot be read or is malformed.
    """
    path = settings.IMAGECATALOG_PROPERTY_PROTECTION_FILE
    return _read(path, _by_policies()) if path else ()


def property_allowed(caller: Caller, operation: Operation, name: str) -> bool:
    """Return whether the caller is allowed an operation on the custom property with this name.

    Always true for attributes of images and for properties that the service itself uses.
    """
    path = settings.IMAGECATALOG_PROPERTY_PROTECTION_FILE
    if not path or caller.interface in UNRESTRICTED:
        return True
    return _allows(path, _by_policies(), caller, operation, name)


def readable(caller: Caller, properties: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return ``properties`` without custom properties that the caller is not allowed to read."""
    if not settings.IMAGECATALOG_PROPERTY_PROTECTION_FILE:
        return properties
    return {
        name: value
        for name, value in properties.items()
        if property_allowed(caller, "read", name)
    }


def check_filter(caller: Caller, name: str) -> None:
    """Raise Forbidden if the caller is not allowed to read the property ``name``.

    Call it before images are filtered by the property: the list would reveal its values.
    """
    if not property_allowed(caller, "read", name):
        raise errors.Forbidden(
            f"Images cannot be filtered by the property '{name}': you are not allowed to "
            "read it."
        )


def check_new_properties(caller: Caller, names: Collection[str]) -> None:
    """Raise Forbidden unless the caller is allowed to create custom properties with these names."""
    for name in names:
        if not property_allowed(caller, "create", name):
            raise _protected(caller, name)


def check_property_changes(
    caller: Caller,
    before: Collection[str],
    changed: Collection[str],
    removed: Collection[str],
) -> None:
    """Raise Forbidden unless the caller is allowed to make these changes to custom properties.

    All parameters are names: the image has the properties ``before`` now; ``changed`` are to be set
    (created if they are not in ``before``), and ``removed`` are to be removed. Callers who cannot
    read an existing property can neither change nor remove it.
    """
    check_new_properties(caller, [name for name in changed if name not in before])
    needed: dict[Operation, Collection[str]] = {"update": changed, "delete": removed}
    for operation, names in needed.items():
        for name in names:
            if name in before and not (
                property_allowed(caller, operation, name)
                and property_allowed(caller, "read", name)
            ):
                raise _protected(caller, name)


def _protected(caller: Caller, name: str) -> errors.Forbidden:
    word = "protected" if caller.interface == "v1" else "reserved"
    return errors.Forbidden(f"Property '{name}' is {word}.")


def _by_policies() -> bool:
    return bool(settings.IMAGECATALOG_PROPERTY_PROTECTION_RULE_FORMAT == "policies")


@lru_cache(maxsize=4096)
def _allows(
    path: str, by_policies: bool, caller: Caller, operation: Operation, name: str
) -> bool:
    if name in BASE or name in READ_ONLY or is_managed(name):
        return True
    for section in _read(path, by_policies):
        if section.pattern.search(name):
            return _satisfies(caller, section.allowed[operation], by_policies)
    return False


def _satisfies(caller: Caller, allowed: frozenset[str], by_policies: bool) -> bool:
    if NOBODY in allowed:
        return False
    if EVERYBODY in allowed:
        return True
    if not by_policies:
        return not allowed.isdisjoint(caller.roles | caller.service_roles)
    rules = [named_rule(name) for name in allowed]
    return any(rule is not None and rule(caller, NO_IMAGE) for rule in rules)


# The file


@cache
def _read(path: str, by_policies: bool) -> tuple[Section, ...]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(path, f"it cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise _wrong(path, "it is not text in UTF-8") from None
    except configparser.Error as error:
        raise _wrong(path, " ".join(str(error).split())) from None
    sections = [parser[name] for name in parser.sections() if not is_internal(name)]
    return tuple(_section(path, section, by_policies) for section in sections)


def _section(
    path: str, section: configparser.SectionProxy, by_policies: bool
) -> Section:
    try:
        pattern = re.compile(section.name)
    except re.error as error:
        raise _wrong(
            path, f"[{section.name}] is not a regular expression: {error}"
        ) from None
    read = _policy if by_policies else _roles
    allowed = {}
    for operation in OPERATIONS:
        where = f"{operation} of [{section.name}]"
        if operation not in section:
            raise _wrong(path, f"{where} is missing")
        allowed[operation] = read(path, where, section[operation].strip())
    return Section(pattern, allowed)


def _roles(path: str, where: str, text: str) -> frozenset[str]:
    roles = frozenset(filter(None, (role.strip().lower() for role in text.split(","))))
    if roles >= {EVERYBODY, NOBODY}:
        raise _wrong(path, f"{where} has both @ (everybody) and ! (nobody)")
    return roles


def _policy(path: str, where: str, text: str) -> frozenset[str]:
    if "," in text:
        raise _wrong(path, f"{where} must be one policy")
    if text not in ("", EVERYBODY, NOBODY) and named_rule(text) is None:
        raise _wrong(path, f"{where}: there is no policy {text}")
    return frozenset({text} - {""})


def _wrong(path: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"IMAGECATALOG_PROPERTY_PROTECTION_FILE {path}: {why}.")
