"""The operating system of a version, as the indexes of published trees name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from images.publishing.encoding import one_line
from images.publishing.snapshot import PublishedFamily, PublishedVersion


class OperatingSystem(NamedTuple):
    """An operating system: its name and release, such as ``debian`` and ``13``."""

    name: str
    release: str


def of_properties(properties: Mapping[str, str], family: str) -> OperatingSystem:
    """Return the operating system from the properties os_distro and os_version of an image.

    The name of the family takes the place of a missing property.
    """
    names = (properties.get(name) or family for name in ("os_distro", "os_version"))
    return OperatingSystem(*map(one_line, names))


def merged_properties(
    family: PublishedFamily, version: PublishedVersion
) -> Mapping[str, str]:
    """Return the properties of a version, completed by those in the template of its family."""
    template = family.template.get("properties")
    defaults = template if isinstance(template, Mapping) else {}
    return {**defaults, **version.properties}
