"""Compare what a command prints with what a page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

TIME = r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\d(?:\.\d+)?(?:Z|\+00:00)?"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
VARIABLE = re.compile(
    rf"(?P<time>{TIME})|(?P<uuid>{UUID})"
    r"|(?P<cut>[\w.-]*…(?:[\w.-]*…)*)|(?P<number>(?<![\w.])\d[\d.]*)"
)
VALUES = {"time": TIME, "uuid": UUID, "cut": r"[\w.-]+", "number": r"\d[\d.]*"}


def values(shown: str, printed: str) -> dict[str, str]:
    """The ids, times and shortened words of a shown text -> their values in a printed text.

    These, numbers and white space can differ, and "…" stands for anything. Raises AssertionError if
    anything else differs.
    """
    words = [*_words(shown)]
    pattern = r"\s*".join(pattern for pattern, _ in words)
    match = re.fullmatch(rf"\s*{pattern}\s*", printed, re.DOTALL)
    assert match, f"shown:\n{shown}\nprinted:\n{printed}"
    names = [name for _, found in words for name in found]
    return {
        name: value
        for name, value in zip(names, match.groups(), strict=True)
        if name != "…"
    }


def _words(shown: str) -> Iterator[tuple[str, list[str]]]:
    """Each word as a pattern, with the names of the groups in it."""
    for word in shown.split():
        pattern, names, end = "", [], 0
        for one in VARIABLE.finditer(word):
            pattern += re.escape(word[end : one.start()])
            value = ".*?" if one[0] == "…" else VALUES[str(one.lastgroup)]
            if one.lastgroup == "number":
                pattern += value
            else:
                pattern += f"({value})"
                names.append(one[0])
            end = one.end()
        yield pattern + re.escape(word[end:]), names
