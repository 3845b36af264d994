"""The stored form of what is published of a family: one JSON text in a row."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import orjson

from images.publishing.snapshot import PublishedFamily, PublishedVersion


def dump(family: PublishedFamily) -> bytes:
    """Return a family as JSON, the same for the same values."""
    return orjson.dumps(asdict(family), default=_text, option=orjson.OPT_SORT_KEYS)


def load(text: bytes) -> PublishedFamily:
    """Return the family of a JSON text that `dump` has made."""
    values = orjson.loads(text)
    values["aliases"] = tuple(values["aliases"])
    values["updated_at"] = datetime.fromisoformat(values["updated_at"])
    values["versions"] = tuple(map(_version, values["versions"]))
    return PublishedFamily(**values)


def _version(values: dict[str, Any]) -> PublishedVersion:
    return PublishedVersion(
        **values
        | {
            "build_date": date.fromisoformat(values["build_date"]),
            "published_at": datetime.fromisoformat(values["published_at"]),
            "archive": b64decode(values["archive"]),
        }
    )


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError
