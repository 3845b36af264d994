"""Paths of published files, relative to the root of their tree."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from images.publishing.snapshot import PublishedFamily, PublishedVersion, file_name

ARCHIVE: Final = "meta.tar.xz"
DOCUMENT: Final = "meta.json"
CURRENT: Final = "current"  # the folder with the files of the current version
PAGE: Final = "index.html"  # the page of a folder, in a static copy


def folder(family: PublishedFamily, version: PublishedVersion) -> str:
    """Return the path of a version's folder, such as images/debian-13/20260131."""
    return f"images/{family.name}/{version.label}"


def current_folder(family: PublishedFamily) -> str:
    """Return the path of the folder with the files of a family's current version."""
    return f"images/{family.name}/{CURRENT}"


def image_file(family: PublishedFamily, version: PublishedVersion) -> str:
    """Return the path of a version's file."""
    return f"{folder(family, version)}/{file_name(family.name, version)}"


def archive_file(family: PublishedFamily, version: PublishedVersion) -> str:
    """Return the path of the small archive that describes a version to Incus and LXD."""
    return f"{folder(family, version)}/{ARCHIVE}"


def root(project: str) -> str:
    """Return the path of a tree on the service: ``/pub``, or ``/pub/project/ID`` of a project."""
    return f"/pub/project/{quote(project)}" if project else "/pub"
