"""Checksum files, such as SHA256SUMS: the digests that a publisher states for files.

Each line has the form of ``sha256sum`` (``HEX  NAME``), or of BSD and OpenSSL (``SHA256 (NAME)
= HEX``), or the file is one digest alone. Other lines are ignored: comments, and signatures,
which are not verified.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from images import errors
from images.expected_digests import HEX_DIGITS, is_digest

MOST = 4 << 20  # bytes
MOST_LINES = 20_000
LONGEST_NAME = 255  # characters
# Other data with the same MD5 or SHA-1 can be made, so they alone prove nothing.
PROVING: Final = ("sha256", "sha384", "sha512")
BY_LENGTH: Final = {digits: algorithm for algorithm, digits in HEX_DIGITS.items()}
# Also the names of OpenSSL 3, such as SHA2-256.
BY_NAME: Final = {it.upper(): it for it in HEX_DIGITS} | {
    it.replace("sha", "SHA2-"): it for it in PROVING
}
HEX = "([0-9A-Fa-f]+)"
# The name follows the mode: a star for binary.
GNU: Final = re.compile(rf"{HEX}[ \t]+\*?(.+)", re.ASCII)
BSD: Final = re.compile(rf"([A-Z0-9-]+) ?\((.+)\) ?= ?{HEX}", re.ASCII)
ALONE: Final = re.compile(HEX, re.ASCII)


class Entry(NamedTuple):
    """A digest in a checksum file, its algorithm, and the name of the file that has this digest.

    The name is None if the checksum file states only the digest.
    """

    algorithm: str
    digest: str  # hexadecimal, in lower case
    name: str | None


def name_in(url: str) -> str:
    """Return the name of the file at a URL; empty if the URL ends with a slash or is malformed."""
    try:
        return unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return ""


def check_name(name: str) -> None:
    """Raise Invalid if a name cannot be the name of a file in a checksum file, such as a path."""
    if not name:
        raise errors.Invalid(
            "The URL does not end with the name of a file. State the name that the data has "
            "in the checksum file ('checksum_name')."
        )
    is_path = "/" in name or "\\" in name or name.startswith("-")
    if is_path or len(name) > LONGEST_NAME or not name.isprintable():
        raise errors.Invalid(
            f"The name of a file in a checksum file must have at most {LONGEST_NAME} "
            "printable characters, no slashes, and no '-' at its beginning."
        )


def digests_of(content: bytes, name: str) -> dict[str, str]:
    """Return the digests that a checksum file states for the file ``name``: algorithm -> hexadecimal.

    ``content`` is the checksum file; ``name`` is a name that ``check_name`` accepts. MD5 and
    SHA-1 are left out. Raises Invalid if the checksum file has no digest of the file, different
    digests by one algorithm, or only MD5 and SHA-1.
    """
    found: dict[str, str] = {}
    for entry in _entries(_lines(content)):
        if entry.name not in (None, name):
            continue
        if found.setdefault(entry.algorithm, entry.digest) != entry.digest:
            raise errors.Invalid(
                f"The checksum file has several digests of the file '{name}'."
            )
    if not found:
        raise errors.Invalid(
            f"The checksum file has no digest of a file named '{name}'. If the data has "
            "another name there, state that ('checksum_name')."
        )
    proving = {it: digest for it, digest in found.items() if it in PROVING}
    if not proving:
        raise errors.Invalid(
            f"The checksum file has only the MD5 or SHA-1 of the file '{name}', which prove "
            "nothing. Use a file with its SHA-256 or SHA-512."
        )
    return proving


def _lines(content: bytes) -> list[str]:
    """Return the lines of a checksum file that are not blank.

    Raises Invalid for a file that is not UTF-8 text, and for too many lines.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise errors.Invalid(
            "The checksum file is not text in UTF-8. Check its URL."
        ) from None
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        raise errors.Invalid(
            f"The checksum file has more than {MOST_LINES} lines. Check its URL."
        )
    return list(filter(None, map(str.strip, lines)))


def _entries(lines: list[str]) -> Iterator[Entry]:
    if len(lines) == 1 and ALONE.fullmatch(lines[0]):
        yield from _entry(BY_LENGTH.get(len(lines[0])), lines[0], None)
    for line in lines:
        if found := BSD.fullmatch(line):
            word, name, digest = found.groups()
            yield from _entry(BY_NAME.get(word), digest, name)
        elif found := GNU.fullmatch(line):
            digest, name = found.groups()
            yield from _entry(BY_LENGTH.get(len(digest)), digest, name)


def _entry(algorithm: str | None, digest: str, name: str | None) -> Iterator[Entry]:
    """Yield the entry for one line of a checksum file; nothing if the algorithm is unknown."""
    if algorithm and is_digest(algorithm, digest):
        yield Entry(algorithm, digest.lower(), name and name.removeprefix("./"))
