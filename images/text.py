"""Text that users wrote, made harmless for terminals and logs."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text in one line, with characters that are not printable escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def printable_lines(text: str) -> str:
    """Return a text with all unprintable characters escaped, except for its line breaks."""
    return "\n".join(map(printable, text.split("\n")))
