"""The stored form of a published family: one JSON text in a row."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import Any

import orjson

from images.publishing.snapshot import PublishedFamily, PublishedVersion


def dump(family: PublishedFamily) -> bytes:
    """Return a family as JSON text. The same values always give the same text."""
    return orjson.dumps(asdict(family), default=_text, option=orjson.OPT_SORT_KEYS)


def load(text: bytes) -> PublishedFamily:
    """Return the family of a JSON text that `dump` has made.

    During an upgrade the text can come from another release. Values that only a newer release has
    are ignored; for values that an older release lacks, the classes in `snapshot` need defaults.
    """
    values = _known(PublishedFamily, orjson.loads(text))
    values["aliases"] = tuple(values["aliases"])
    values["updated_at"] = datetime.fromisoformat(values["updated_at"])
    values["versions"] = tuple(map(_version, values["versions"]))
    return PublishedFamily(**values)


def _version(values: dict[str, Any]) -> PublishedVersion:
    return PublishedVersion(
        **_known(PublishedVersion, values)
        | {
            "build_date": date.fromisoformat(values["build_date"]),
            "published_at": datetime.fromisoformat(values["published_at"]),
            "archive": b64decode(values["archive"]),
        }
    )


def _known(kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    return {
        field.name: values[field.name] for field in fields(kind) if field.name in values
    }


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError
