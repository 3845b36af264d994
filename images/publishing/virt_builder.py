"""The index that virt-builder reads.

`section` makes the part of one family, which can be kept; `index` puts the parts together. Format:
virt-builder(1), "Creating and signing the index file".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from images.publishing import aliases, operating_system, paths
from images.publishing.snapshot import PublishedFamily

FORMATS = ("qcow2", "raw")

Section = dict[str, str]


def section(family: PublishedFamily) -> Section | None:
    """Return the section of a family in the index; None if virt-builder cannot use its current image."""
    current = family.current
    if current is None or current.disk_format not in FORMATS:
        return None
    _, _, compression = current.extension.partition(".")
    if compression not in ("", "xz"):
        return None
    found = operating_system.merged_properties(family, current)
    values = {
        "name": family.title or family.name,
        "osinfo": found.get("osinfo_id", ""),
        "arch": family.architecture,
        "file": paths.image_file(family, current),
        "checksum[sha512]": current.sha512,
        "format": current.disk_format,
        "size": str(current.virtual_size),
        "compressed_size": str(current.size),
        "revision": str(family.revision),
        "aliases": " ".join(family.aliases),
        "expand": found.get("expand", ""),
        "notes": family.description.strip(),
    }
    return {name: value for name, value in values.items() if value}


def index(sections: Mapping[str, Section]) -> str:
    """Return the index of the sections that `section` has made; their keys are the names of families.

    An alias that several sections of one architecture have is left out of all of them.
    """
    ordered = sorted(sections.items())
    claims = [
        aliases.Names(name, values.get("aliases", "").split(), values["arch"])
        for name, values in ordered
    ]
    return "\n".join(
        "".join(_lines(name, {**values, "aliases": " ".join(kept)}))
        for (name, values), kept in zip(
            ordered, aliases.unambiguous(claims), strict=True
        )
    )


def _lines(name: str, values: Section) -> Iterator[str]:
    yield f"[{name}]\n"
    for key, value in values.items():
        if value:
            # Further lines of a value begin with a blank.
            text = "\n ".join(map(_printable, value.splitlines()))
            yield f"{key}={text}\n"


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else " " for char in line)
