"""The HTML pages of a published tree: for people, and at the same time the listings of folders.

Each page is a pure function of its arguments. Programs that copy whole folders, such as rclone and
wget, find the entries of a folder in its page: one relative link per entry. All links of a page are
relative, except that to a family's homepage, so the pages work at every URL and in a static copy.
No page has a script, and none needs a cookie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from django.template.loader import render_to_string

from images import units
from images.publishing import paths, usage
from images.publishing.snapshot import PublishedFamily, PublishedVersion, file_name
from images.publishing.usage import Site
from images.text import printable, printable_lines

STYLE: Final = "style.css"  # name of the style sheet, in the top folder of the tree
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
SHORT: Final = 240  # characters of a description on a card

_STATIC = Path(__file__).resolve().parent.parent / "static" / "images"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a folder. The name of a folder ends in a slash."""

    name: str
    size: int | None = None  # bytes; None for a folder
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A family as the pages that list families show it."""

    name: str
    title: str
    description: str
    architecture: str
    label: str  # of the current version; "" if there is none
    built: date | None
    disk_format: str
    size: int | None  # bytes


def card(family: PublishedFamily) -> Card:
    """Return a family as the pages that list families show it."""
    current = family.current
    return Card(
        family.name,
        _title(family),
        _shortened(family.description),
        family.architecture,
        current.label if current else "",
        current.build_date if current else None,
        current.disk_format if current else "",
        current.size if current else None,
    )


def read_cards(content: bytes) -> list[Card]:
    """Return the families that ``write_cards`` has written."""
    return [_read_card(values) for values in orjson.loads(content)]


def write_cards(cards: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the fields of cards as JSON, for ``read_cards``."""
    return orjson.dumps(list(cards))


def style() -> bytes:
    """Return the style sheet of the pages."""
    return (_STATIC / "published.css").read_bytes()


def top_entries(indexes: Iterable[Entry]) -> list[Entry]:
    """Return the entries of the top folder that its page lists: the indexes and the folder of images."""
    return sorted((*indexes, Entry("images/")), key=lambda one: one.name)


def top_page(site: Site, cards: Iterable[Card], entries: Sequence[Entry]) -> bytes:
    """Return the page of the top folder, with all families and the entries of the folder."""
    return _page("top", "", site, cards=_shown(cards), entries=_listed(entries))


def families_page(site: Site, cards: Iterable[Card]) -> bytes:
    """Return the page of the folder ``images/``, whose entries are the families."""
    return _page("families", "images/", site, cards=_shown(cards))


def family_page(site: Site, family: PublishedFamily) -> bytes:
    """Return the page of a family, whose entries are its versions and ``current/``."""
    current = family.current
    return _page(
        "family",
        f"images/{family.name}/",
        site,
        family=family,
        title=_title(family),
        description=printable_lines(family.description.replace("\r\n", "\n")),
        homepage=_homepage(family.homepage),
        current=_version(family, current) if current else None,
        versions=[_version(family, version) for version in family.versions],
        guides=usage.guides(site, family, current) if current else (),
    )


def version_page(
    site: Site,
    family: PublishedFamily,
    version: PublishedVersion,
    entries: Sequence[Entry],
    *,
    folder: str = "",
) -> bytes:
    """Return the page of a version's folder. ``folder`` is its name, by default the label."""
    folder = folder or version.label
    return _page(
        "version",
        f"images/{family.name}/{folder}/",
        site,
        family=family,
        title=_title(family),
        folder=folder,
        is_current_folder=folder == paths.CURRENT,
        version=_version(family, version),
        entries=_listed(entries),
    )


def folder_page(site: Site, path: str, entries: Sequence[Entry]) -> bytes:
    """Return the page of a folder that has neither families nor versions, such as ``streams/v1/``.

    ``path`` is the path of the folder, relative to the top of the tree, and ends in a slash.
    """
    return _page("folder", path, site, entries=_listed(entries))


def _page(name: str, path: str, site: Site, **values: Any) -> bytes:
    depth = path.count("/")
    context = values | {
        "path": path,
        "site": site,
        "top": "../" * depth or "./",
        "style": "../" * depth + STYLE,
    }
    return render_to_string(f"published/{name}.html", context).encode()


def _read_card(values: dict[str, Any]) -> Card:
    built = values["built"]
    return Card(**values | {"built": built and date.fromisoformat(built)})


def _title(family: PublishedFamily) -> str:
    return printable(family.title) or family.name


def _shortened(description: str) -> str:
    first = printable(
        description.replace("\r\n", "\n")
        .strip()
        .partition("\n\n")[0]
        .replace("\n", " ")
    )
    return first if len(first) <= SHORT else f"{first[:SHORT].rstrip()}…"


def _homepage(url: str) -> str:
    """Return the URL of a homepage unchanged if it is http or https, else an empty text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.netloc else ""


def _shown(cards: Iterable[Card]) -> list[Mapping[str, Any]]:
    return [
        {"card": one, "size": _size(one.size)}
        for one in sorted(cards, key=lambda one: one.name)
    ]


def _listed(entries: Sequence[Entry]) -> list[Mapping[str, Any]]:
    return [
        {"name": one.name, "size": _size(one.size), "modified": one.modified}
        for one in entries
    ]


def _version(family: PublishedFamily, version: PublishedVersion) -> Mapping[str, Any]:
    return {
        "row": version,
        "file": file_name(family.name, version),
        "size": _size(version.size),
        "virtual_size": _size(version.virtual_size),
    }


def _size(count: int | None) -> str:
    return "" if count is None else units.size(count).replace(".0 ", " ")
