"""JSON files of a published tree, the same bytes for the same content."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def json_file(document: Mapping[str, object]) -> bytes:
    """Return the content of a JSON file, with the names in the document sorted."""
    return orjson.dumps(document, option=OPTIONS)
