"""The byte ranges of requests (RFC 9110 section 14). Pure functions of headers and sizes."""

from __future__ import annotations

import re

from images import errors
from images.units import parse_number

# At most 8 blanks: without a limit, matching a long header of blanks takes seconds.
RANGE = re.compile(r"bytes\s{0,8}=\s{0,8}([0-9]*)\s{0,8}-\s{0,8}([0-9]*)", re.I | re.A)
CONTENT_RANGE = re.compile(r"(?:bytes\s+)?([0-9]+)-([0-9]+)/(?:[0-9]+|\*)", re.I | re.A)


class RangeNotSatisfiable(errors.ImageError):
    """The error for a requested range that is not within the data, which has ``size`` bytes."""

    code = "range-not-satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(
            f"The requested range is not valid for data of {size} bytes. "
            "Ask for 'bytes=FIRST-LAST', 'bytes=FIRST-' or 'bytes=-COUNT' within it."
        )
        self.size = size


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the range [start, stop) in a header ``Range``; None without the header.

    A last byte beyond the end of the data means its end. Raises Invalid for several ranges, and
    RangeNotSatisfiable for any other value that is not a range of the data, even a malformed
    one (which RFC 9110 section 14.2 would ignore).
    """
    if not header:
        return None
    if "," in header:
        raise errors.Invalid(
            "Several ranges in one request are not supported. Ask for each separately."
        )
    match = RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        raise RangeNotSatisfiable(size)
    first, last = match.groups()
    if not first:
        return _checked(max(size - parse_number(last), 0), size, size)
    stop = min(parse_number(last) + 1, size) if last else size
    return _checked(parse_number(first), stop, size)


def parse_content_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the range [start, stop) in the header ``Content-Range`` of a request; None without it.

    HTTP gives this header no meaning in a request for data, but some clients send it instead of
    ``Range``. The total size in it is ignored. Raises the errors of ``parse_range``, and
    RangeNotSatisfiable for a last byte beyond the end.
    """
    if not header:
        return None
    match = CONTENT_RANGE.fullmatch(header.strip())
    if match is None or parse_number(match[2]) >= size:
        raise RangeNotSatisfiable(size)
    return _checked(parse_number(match[1]), parse_number(match[2]) + 1, size)


def _checked(start: int, stop: int, size: int) -> tuple[int, int]:
    if start >= stop:
        raise RangeNotSatisfiable(size)
    return start, stop
