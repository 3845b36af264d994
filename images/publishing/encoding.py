"""Conversion of JSON documents and texts for the files of a published tree."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def json_file(document: Mapping[str, object]) -> bytes:
    """Return the content of a JSON file: the same bytes for the same document."""
    return orjson.dumps(document, option=OPTIONS)


def one_line(text: str) -> str:
    """Return a text in one line, with a space in place of each unprintable character."""
    return "".join(char if char.isprintable() else " " for char in text)
