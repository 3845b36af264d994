"""The format of log records, as text or JSON, and the request that each record belongs to."""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import NamedTuple

import orjson
from django.db import DataError

from images import errors, outages
from images.text import printable, printable_lines

# Failures of stores and clients, and outages of the database: their message says it all.
KNOWN_FAILURES = (errors.ImageError, DataError)
PLAIN = re.compile(r"[^\s\"=\\]+")
QUOTED = str.maketrans({'"': '\\"', "\\": "\\\\"})


class Context(NamedTuple):
    """The request that a log record belongs to, and its caller; empty where unknown."""

    request_id: str = ""
    user: str = ""
    project: str = ""
    interface: str = ""


_context: ContextVar[Context] = ContextVar("log_context", default=Context())  # noqa: B039


def bind(context: Context) -> None:
    """Set the request and the caller that all later log records of this thread state."""
    _context.set(context)


def bound() -> Context:
    """Return the log context of this thread, so that a helper thread can ``bind`` the same one."""
    return _context.get()


class TextFormatter(logging.Formatter):
    """The formatter of log records as text: one line, and a traceback for an unexpected error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, with line breaks and unprintable characters escaped.

        So no message can contain or imitate another record. Only a traceback has lines of its
        own.
        """
        context = _context_of(record)
        line = (
            f"{_timestamp(record)} {record.levelname} {record.name} "
            f"request={word(context.request_id)} user={word(context.user)} "
            f"project={word(context.project)} interface={word(context.interface)} "
            f"{printable(_message(record))}"
        )
        if traceback := self._traceback(record):
            line += printable_lines(f"\n{traceback}").replace("\n", "\n  ")
        return line

    def _traceback(self, record: logging.LogRecord) -> str:
        if not record.exc_info or _known_failure(record):
            return ""
        return self.formatException(record.exc_info)


class JsonFormatter(TextFormatter):
    """The formatter of log records as JSON: one object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object in one line."""
        fields: dict[str, str | None] = {
            "timestamp": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        for name, value in _context_of(record)._asdict().items():
            fields[name] = value or None
        if traceback := self._traceback(record):
            fields["exc_info"] = traceback
        try:
            return orjson.dumps(fields).decode()
        except orjson.JSONEncodeError:  # a lone surrogate
            return orjson.dumps(
                {name: _encodable(fields[name]) for name in fields}
            ).decode()


class FailuresOnly(logging.Filter):
    """A filter for Django's log records: only records that report an exception pass.

    Records about error status codes are dropped: the service itself logs the reason.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record reports an exception."""
        return bool(record.exc_info)


def word(value: str) -> str:
    """Return a value for ``name=value`` in a log line: ``-`` if empty, quoted if necessary."""
    if not value:
        return "-"
    if value != "-" and PLAIN.fullmatch(value):
        return printable(value)
    return printable(f'"{value.translate(QUOTED)}"')


def reason(error: BaseException) -> str:
    """Return the message of an error, followed by its cause unless the message contains the cause.

    Of an ImageError, the message for operators is used.
    """
    text = error.for_operator() if isinstance(error, errors.ImageError) else str(error)
    cause = error.__cause__
    if cause is None or str(cause) in text:
        return text
    return f"{text} ({type(cause).__name__}: {cause})"


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    known = _known_failure(record)
    return f"{message}: {reason(known)}" if known else message


def _known_failure(record: logging.LogRecord) -> BaseException | None:
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return None
    is_known = isinstance(error, KNOWN_FAILURES) or outages.is_outage(error)
    return error if is_known else None


def _context_of(record: logging.LogRecord) -> Context:
    return getattr(record, "context", None) or _context.get()


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encodable(value: str | None) -> str | None:
    return value and value.encode(errors="backslashreplace").decode()
