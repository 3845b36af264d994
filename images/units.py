"""Numbers in words: sizes, and back, and how many. Knows nothing of images."""

from __future__ import annotations

import re

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,3})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def size(count: float | None) -> str:
    """Bytes for a person."""
    if count is None:
        return "-"
    for unit in UNITS[:-1]:
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {UNITS[-1]}"


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2 images``: for English nouns that take an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def parse_size(text: str) -> int:
    """``1.5 GiB``, ``256M``, ``1048576``: bytes; units are of 1024. Raises ValueError."""
    found = SIZE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no size; give one like 500M or 1.5 GiB.")
    count = int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))
    if count >= 1 << 63:
        raise ValueError(f"{text!r} is more than anything can be.")
    return count
