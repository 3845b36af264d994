"""Checks that the URL of a request is UTF-8, and the WSGI keys for its path and its route."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

# Keys of the WSGI environment.
PATH: Final = "imagecatalog.path"
ROUTE: Final = "imagecatalog.route"

_NOT_ASCII = re.compile(rb"%[89A-Fa-f]|[\x80-\xff]")


def keep_path(environ: dict[str, Any]) -> None:
    """Copy the path of a request to the key PATH of its WSGI environment, where ``is_utf8`` reads it.

    Django replaces bytes that are not UTF-8 in the path that it keeps.
    """
    environ[PATH] = environ.get("PATH_INFO", "")


def is_utf8(environ: Mapping[str, Any]) -> bool:
    """Return whether the path and the query of a request are UTF-8 after percent-decoding."""
    # WSGI passes the path percent-decoded, the query as it was sent, and both as Latin-1.
    path, query = environ.get(PATH, ""), environ.get("QUERY_STRING", "")
    if path.isascii() and query.isascii() and "%" not in query:
        return True
    return decodes(path.encode("latin-1")) and is_text(query.encode("latin-1"))


def is_text(encoded: bytes) -> bool:
    """Return whether a percent-encoded query or form is UTF-8 after percent-decoding."""
    # Decoding a form of some MiB takes a hundred times as long as this search.
    return not _NOT_ASCII.search(encoded) or decodes(unquote_to_bytes(encoded))


def decodes(text: bytes) -> bool:
    """Return whether bytes are UTF-8."""
    try:
        text.decode()
    except UnicodeError:
        return False
    return True
