"""The operating system of a version, as the indexes of published trees name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from images.publishing.encoding import one_line
from images.publishing.snapshot import PublishedFamily, PublishedVersion


class OperatingSystem(NamedTuple):
    """An operating system: ``debian`` and ``13``."""

    name: str
    release: str


def of_properties(properties: Mapping[str, str], family: str) -> OperatingSystem:
    """Return the operating system that an image's properties name.

    The name of the family stands for what they do not name.
    """
    names = (properties.get(name) or family for name in ("os_distro", "os_version"))
    return OperatingSystem(*map(one_line, names))


def merged_properties(
    family: PublishedFamily, version: PublishedVersion
) -> Mapping[str, str]:
    """Return the properties of a version; the template of its family has those that are missing."""
    template = family.template.get("properties")
    defaults = template if isinstance(template, Mapping) else {}
    return {**defaults, **version.properties}
