"""Shortening of long values in the event of an update: each becomes its digest and its length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_TEXT = 255  # characters of one value
MAX_LIST = 4096  # characters of all tags, as JSON
MAX_DETAIL = 16_384  # characters of all values
MAX_DIGEST = 100  # characters; a digest with its length is shorter


def shortened(changed: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return changes (name -> [before, after]) in which a digest and a length replace long values.

    If all values together still have more than 16,384 characters, every value longer than a
    digest is replaced.
    """
    kept = _replaced(changed, MAX_TEXT, MAX_LIST)
    if sum(_length(value) for values in kept.values() for value in values) > MAX_DETAIL:
        return _replaced(changed, MAX_DIGEST, MAX_DIGEST)
    return kept


def _replaced(
    changed: Mapping[str, Sequence[Any]], longest_text: int, longest_list: int
) -> dict[str, list[Any]]:
    return {
        name: [
            _short(value, longest_list if isinstance(value, list) else longest_text)
            for value in values
        ]
        for name, values in changed.items()
    }


def _short(value: Any, longest: int) -> Any:
    if _length(value) <= longest:
        return value
    digest = hashlib.sha256(_text(value).encode()).hexdigest()
    return f"sha256:{digest} ({_length(value)} characters)"


def _length(value: Any) -> int:
    return len(_text(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
