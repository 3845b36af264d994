"""Files to download with the rows of a list: CSV and JSON, sent while the rows are read."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any, Final

import orjson
from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from images import db

FORMATS: Final = {"csv": "text/csv;charset=utf-8", "json": "application/json"}
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets would compute

Row = Mapping[str, Any]


def response(
    name: str, format: str, columns: Sequence[str], batches: Iterable[Sequence[Row]]
) -> StreamingHttpResponse:
    """Return the response with a file ``name`` in the format csv or json.

    ``batches`` are lists of rows; each list is sent as soon as it is read, and no database connection
    is kept meanwhile. In CSV, dicts and lists become JSON.
    """
    write = _csv if format == "csv" else _json
    content = _without_connection(write(columns, batches))
    file = StreamingHttpResponse(content, content_type=FORMATS[format])
    file.headers["Content-Disposition"] = content_disposition_header(
        True, f"{name}.{format}"
    )
    return file


def _without_connection(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        db.release_connection()
        yield block


def _json(columns: Sequence[str], batches: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    before = b"[\n"
    for rows in batches:
        lines = [orjson.dumps({name: row[name] for name in columns}) for row in rows]
        if lines:
            yield before + b",\n".join(lines)
            before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _csv(columns: Sequence[str], batches: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    yield _csv_lines([columns])
    for rows in batches:
        yield _csv_lines([_cell(row[name]) for name in columns] for row in rows)


def _csv_lines(lines: Iterable[Sequence[str]]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode().strip('"')
    # A spreadsheet shows the rest of the text, and computes nothing.
    return f"'{text}" if text.startswith(FORMULA) else text
