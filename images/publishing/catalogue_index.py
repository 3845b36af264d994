"""The catalogue's own index of a published tree: index.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from images.publishing import encoding, paths
from images.publishing.snapshot import PublishedFamily, PublishedVersion

PATH: Final = "index.json"
FORMAT: Final = "imagecatalog-publication/1"


def fragment(family: PublishedFamily) -> dict[str, Any]:
    """Return the part of the index that describes a family; `document` joins the parts."""
    current = family.current
    return {
        "name": family.name,
        "title": family.title,
        "description": family.description,
        "homepage": family.homepage,
        "architecture": family.architecture,
        "aliases": list(family.aliases),
        "current": current and current.label,
        "revision": family.revision,
        "versions": [_version(family, version) for version in family.versions],
    }


def document(
    fragments: Iterable[Mapping[str, Any]], updated: datetime, key: str
) -> bytes:
    """Return the content of index.json: the parts that `fragment` has returned, sorted by name.

    ``updated`` is in UTC; ``key`` is the fingerprint of the signing key, or empty without one.
    """
    families = sorted(fragments, key=lambda it: str(it["name"]))
    return encoding.json_file(
        {
            "format": FORMAT,
            "updated": f"{updated:%Y-%m-%dT%H:%M:%SZ}",
            "key": key or None,
            "families": families,
        }
    )


def _version(family: PublishedFamily, version: PublishedVersion) -> dict[str, Any]:
    return {
        "label": version.label,
        "image": version.image_id,
        "build_date": version.build_date.isoformat(),
        "published_at": f"{version.published_at:%Y-%m-%dT%H:%M:%SZ}",
        "path": paths.image_file(family, version),
        "disk_format": version.disk_format,
        "size": version.size,
        "virtual_size": version.virtual_size,
        "md5": version.md5,
        "sha256": version.sha256,
        "sha512": version.sha512,
    }
