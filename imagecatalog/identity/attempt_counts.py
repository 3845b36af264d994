"""Counts of sign-in attempts, stored in the database for all processes and machines.

If the database cannot be written, each process counts its own attempts: sign-in must continue, and
responses must not reveal which names exist.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Final, NamedTuple

from django.db import Error, connection
from django.db.models import Q, QuerySet

from imagecatalog.identity.models import AttemptCount

WINDOW: Final = 60  # seconds, from the first attempt
KNOWN: Final = 90 * 86400  # seconds that an address stays known after a sign-in
REMEMBERED_AT_MOST: Final = 10_000  # in a process, while the database cannot be written

_TABLE = f'"{AttemptCount._meta.db_table}"'
# Always in the order of the keys: two statements that lock the same rows never wait for each
# other.
_ADD = (
    f'INSERT INTO {_TABLE} AS a ("key", "since", "count") VALUES %s'
    ' ON CONFLICT ("key") DO UPDATE SET'
    ' "count" = CASE WHEN a."since" <= %%s THEN 1 ELSE a."count" + 1 END,'
    ' "since" = CASE WHEN a."since" <= %%s THEN excluded."since" ELSE a."since" END'
    ' RETURNING "key", "since", "count", "right_at"'
)
_SUBTRACT = (
    f'INSERT INTO {_TABLE} AS a ("key", "since", "count") VALUES %s'
    ' ON CONFLICT ("key") DO UPDATE SET'
    ' "count" = CASE WHEN a."key" = %%s THEN 0 ELSE a."count" - 1 END,'
    ' "right_at" = CASE WHEN a."key" = %%s THEN %%s ELSE a."right_at" END'
    ' WHERE a."since" = excluded."since" AND a."count" > 0'
)

log = logging.getLogger(__name__)
_lock = threading.Lock()


class Count(NamedTuple):
    """The number of sign-in attempts for one key, within the window that began at ``since``.

    Times are seconds since 1970. A window lasts a minute.
    """

    key: str
    since: int
    number: int
    right_at: int | None = None  # the last sign-in that succeeded


_own: dict[str, Count] = {}  # oldest first


def add(keys: Iterable[str], now: int) -> list[Count]:
    """Count one sign-in attempt for each key, and return the new counts.

    A key stands for a name, an address, or both. ``now`` is in seconds since 1970.
    """
    ordered = sorted(keys)
    ended = now - WINDOW
    try:
        return _execute(_ADD, [(key, now, 1) for key in ordered], ended, ended)
    except Error as error:
        log.warning("sign-in attempts are counted in this process only: %s", error)
    with _lock:
        return [_add_own(key, now) for key in ordered]


def subtract(counts: Iterable[Count], right: str = "", now: int = 0) -> None:
    """Subtract one attempt from each count that ``add`` has returned, unless its window has ended.

    ``right`` is given after a successful sign-in: the count with this key, for a name and address,
    becomes 0, and ``now`` (in seconds since 1970) is stored as the time of the last success.
    """
    ordered = sorted(counts)
    rows = [(count.key, count.since, 0) for count in ordered]
    with suppress(Error):  # `add` has reported it
        _execute(_SUBTRACT, rows, right, right, now)
    with _lock:
        for count in ordered:
            _subtract_own(count, right)


def due(now: float) -> QuerySet[AttemptCount]:
    """Return the attempt counts that can be deleted from the database.

    Their window has ended, and they record no sign-in of the last 90 days. ``now`` is in seconds
    since 1970.
    """
    ended = Q(since__lt=now - WINDOW)
    forgotten = Q(right_at=None) | Q(right_at__lt=now - KNOWN)
    return AttemptCount.objects.filter(ended & forgotten)


def _execute(
    statement: str, rows: Sequence[Sequence[int | str]], *parameters: int | str
) -> list[Count]:
    values = ", ".join(["(%s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(statement % values, [*chain.from_iterable(rows), *parameters])
        found: Any = cursor.fetchall() if cursor.description else ()
    return [Count(*row) for row in found]


def _add_own(key: str, now: int) -> Count:
    known = _own.get(key)
    if known and known.since <= now - WINDOW:
        del _own[key]
        known = None
    if known is None and len(_own) >= REMEMBERED_AT_MOST:
        del _own[next(iter(_own))]
    count = Count(key, known.since, known.number + 1) if known else Count(key, now, 1)
    _own[key] = count
    return count


def _subtract_own(count: Count, right: str) -> None:
    known = _own.get(count.key)
    if known and known.since == count.since and known.number:
        number = 0 if known.key == right else known.number - 1
        _own[known.key] = known._replace(number=number)
