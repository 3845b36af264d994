"""Outages of the database: which errors are outages, the messages for clients, and log lines.

An outage is any error of the database itself, whatever its class: the database cannot be
reached, is full, read-only or too slow, or another process holds a lock. A wrong statement, and
a value or row that the database refuses, are errors of the service or of the client instead. In
an outage the first error of each kind is logged, and later the end of the outage.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.db import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)

log = logging.getLogger(__name__)

RETRY_AFTER: Final = 2  # seconds that a client is asked to wait

NOT_AVAILABLE: Final = "The database is not available. Retry later."
READ_ONLY: Final = "The database is read-only: nothing can be changed. Retry later."
LOCKED: Final = "The row is locked by somebody else for too long. Retry later."
TOO_SLOW: Final = "The database took too long to answer. Retry later, or ask for less."
FULL: Final = "The database has no space left. Retry later, or tell the operator."
# By PostgreSQL's SQLSTATE, or the name of SQLite's result code without its detail.
SENTENCES: Final = {
    "25006": READ_ONLY,
    "SQLITE_READONLY": READ_ONLY,
    "55P03": LOCKED,
    "40P01": LOCKED,
    "SQLITE_BUSY": LOCKED,
    "SQLITE_LOCKED": LOCKED,
    "57014": TOO_SLOW,
    "53100": FULL,
    "SQLITE_FULL": FULL,
}
WRONG_STATEMENT: Final = "SQLITE_ERROR"  # Django makes it an OperationalError


@dataclass
class _Outage:
    began: float
    last: float  # error
    failures: int = 0
    sentences: set[str] = field(default_factory=set)


_lock = threading.Lock()
_current: _Outage | None = None


def is_outage(error: BaseException) -> bool:
    """Return whether an exception means that the database cannot be used at present."""
    if isinstance(error, ProgrammingError | NotSupportedError):
        return False
    if isinstance(error, DataError | IntegrityError):
        return False
    if type(error) is DatabaseError and error.__cause__ is None:
        return False  # raised by Django itself, for a row that has vanished
    if _code(error) == WRONG_STATEMENT:
        return False
    return isinstance(error, Error)


def sentence(error: BaseException) -> str:
    """Return the message that clients get for an outage: what is wrong, and what to do."""
    return SENTENCES.get(_code(error), NOT_AVAILABLE)


def reason(error: BaseException) -> str:
    """Return the database's own error message in one line, for operators."""
    return " ".join(str(error).split())


def report(
    error: Exception, logger: logging.Logger, message: str, *args: object
) -> None:
    """Log an error of background work with its traceback; if it is an outage, only record it.

    ``message`` and ``args`` are the arguments of ``logger.error``.
    """
    if is_outage(error):
        record(error)
    else:
        logger.error(message, *args, exc_info=error)


def record(error: BaseException) -> None:
    """Count an error as part of the current outage; log it if it is the first of its kind."""
    global _current
    now = time.monotonic()
    with _lock:
        _current = _current or _Outage(began=now, last=now)
        _current.last = now
        _current.failures += 1
        is_known = sentence(error) in _current.sentences
        _current.sentences.add(sentence(error))
    if not is_known:
        log.error("the database fails: %s", reason(error))


def record_success() -> None:
    """End the current outage, and log its end, if the last error is long enough ago.

    Called whenever the database has answered. Long enough is twice
    IMAGECATALOG_DATABASE_SECONDS, more than a request can wait for the database: a lock would
    otherwise seem to end whenever a request waits for it. Does nothing if there is no outage.
    """
    global _current
    if _current is None:
        return
    with _lock:
        ended = _current
        quiet = 2 * settings.IMAGECATALOG_DATABASE_SECONDS
        if ended is None or time.monotonic() - ended.last < quiet:
            return
        _current = None
    log.warning(
        "the database works again: it failed for %.0f s; failed requests and duties of this "
        "process: %d",
        ended.last - ended.began,
        ended.failures,
    )


def _code(error: BaseException) -> str:
    cause = error.__cause__
    state: str | None = getattr(cause, "sqlstate", None)
    name: str = getattr(cause, "sqlite_errorname", "")
    return state or "_".join(name.split("_")[:2])
