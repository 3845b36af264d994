"""The index that virt-builder reads.

`fragment` makes the part of one family, which can be kept; `document` puts the parts together.
Format: virt-builder(1), "Creating and signing the index file".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from images.publishing import aliases, disks, paths
from images.publishing.encoding import one_line
from images.publishing.snapshot import PublishedFamily

PATH: Final = "index"  # in a tree; the signed one ends with .asc

Section = dict[str, str]


def fragment(family: PublishedFamily) -> dict[str, Section]:
    """Return the section of a family for `document`; none if virt-builder cannot use its current image."""
    current = family.current
    if current is None:
        return {}
    # virt-builder itself decompresses xz, and nothing else.
    extension = current.extension.removesuffix(".xz")
    if not disks.is_disk(current.disk_format, extension):
        return {}
    values = {
        "name": one_line(family.title or family.name),
        "osinfo": family.template.get("osinfo_id", ""),
        "arch": family.architecture,
        "file": paths.image_file(family, current),
        "checksum[sha512]": current.sha512,
        "format": current.disk_format,
        "size": current.virtual_size,
        "compressed_size": current.size,
        "revision": family.revision,
        "aliases": " ".join(family.aliases),
        "expand": family.template.get("expand", ""),
        "notes": family.description.strip(),
    }
    return {family.name: {name: str(it) for name, it in values.items() if it != ""}}


def document(fragments: Iterable[Mapping[str, Section]]) -> bytes:
    """Return the content of virt-builder's index, built from the sections that `fragment` returns.

    An alias that several sections of one architecture have is left out of all of them.
    """
    sections = sorted(pair for part in fragments for pair in part.items())
    claims = [
        aliases.Names(name, values.get("aliases", "").split(), values["arch"])
        for name, values in sections
    ]
    texts = (
        "".join(_lines(name, {**values, "aliases": " ".join(kept)}))
        for (name, values), kept in zip(
            sections, aliases.unambiguous(claims), strict=True
        )
    )
    return "\n".join(texts).encode()


def _lines(name: str, values: Section) -> Iterator[str]:
    yield f"[{name}]\n"
    for key, value in values.items():
        if value:
            # Further lines of a value begin with a blank.
            text = "\n ".join(map(one_line, value.splitlines()))
            yield f"{key}={text}\n"
