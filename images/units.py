"""Formatting and parsing of sizes, durations, counts and numbers."""

from __future__ import annotations

import re
from typing import Final

LARGEST: Final = 2**63 - 1  # of a 64-bit column; above every size and limit
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,3})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)\s*([smhdw]?)")
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def size(count: float | None) -> str:
    """Format a number of bytes for display, such as ``1.5 GiB``; ``-`` for None."""
    if count is None:
        return "-"
    for unit in UNITS[:-1]:
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {UNITS[-1]}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Format a count with its noun: ``1 image``, ``2 images``.

    ``plural`` is by default the noun with an s.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def parse_number(text: str) -> int:
    """Parse a whole number of any length: decimal digits with an optional minus sign.

    Numbers above 2**63 - 1 become 2**63 - 1, and numbers below -(2**63 - 1) become
    -(2**63 - 1): Python's ``int`` alone refuses more than 4300 digits as malformed. Raises
    ValueError for any other text.
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    digits = digits.lstrip("0") or digits[:1]
    return sign * (LARGEST if len(digits) > 19 else min(int(digits), LARGEST))


def parse_digits(text: str, most: int) -> int | None:
    """Parse a number of up to ``most`` decimal digits, 0 to 9; None for any other text."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= most
    return int(text) if is_number else None


def parse_size(text: str) -> int:
    """Parse a size such as ``1.5 GiB``, ``256M`` or ``1048576`` into bytes.

    Units are powers of 1024. Raises ValueError for any other text.
    """
    match = SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size. Use for example 500M or 1.5 GiB.")
    count = int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))
    if count >= 1 << 63:
        raise ValueError(f"{text!r} is too large. Use a size below 8388608 TiB.")
    return count


def parse_duration(text: str, unit: str = "") -> float:
    """Parse a duration such as ``90m``, ``1.5 h`` or ``30d`` into seconds.

    The units are s, m, h, d and w. A number without a unit is in ``unit``, if that is given.
    Raises ValueError for any other text.
    """
    match = DURATION.fullmatch(text.strip())
    name = match and (match[2] or unit)
    if not match or not name:
        raise ValueError(
            f"{text!r} is not a duration. Use for example 90s, 12h or 30d (units: s, m, h, d, w)."
        )
    return float(match[1]) * SECONDS[name]


def duration(seconds: float) -> str:
    """Format a duration in its largest unit that gives a whole number, such as ``90d`` or ``36h``.

    It is the inverse of ``parse_duration``; parts of a second are left out.
    """
    whole = int(seconds)
    for unit in ("d", "h", "m"):
        if whole % SECONDS[unit] == 0:
            return f"{whole // SECONDS[unit]}{unit}"
    return f"{whole}s"
