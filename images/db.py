"""Database connections: return them to the pool, and limit how long a statement can take.

A process has fewer connections than threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

# PostgreSQL's extension for the search of images, and the index that needs it: not every database can
# have them.
SEARCH_EXTENSION: Final = "pg_trgm"
SEARCH_INDEX: Final = "image_searched_text"


@contextmanager
def pipelined() -> Iterator[None]:
    """Open a transaction (in a transaction, a savepoint) whose statements do not wait for each other.

    The program waits only when it reads rows or their number, and for the commit, which raises the
    error of an earlier statement. So a short transaction needs two or three round trips to
    PostgreSQL, however many rows it writes. On SQLite it is an ordinary transaction.
    """
    pipeline = getattr(connection, "pipelined", nullcontext)
    with pipeline(), transaction.atomic():
        yield


def planned_for_values() -> AbstractContextManager[None]:
    """Return a context in which PostgreSQL plans each statement for the values that it has.

    Otherwise it keeps one plan for a statement that is executed often. Such a plan serves any values,
    but cannot use an index whose condition depends on them.
    """
    planned: Callable[[], AbstractContextManager[None]] = getattr(
        connection, "planned_for_values", nullcontext
    )
    return planned()


def release_connection() -> None:
    """Return this thread's database connection to the pool; the thread's next query takes one again.

    Call it before waiting for data or for another thread: otherwise as many slow clients as the
    pool has connections would stop the service. Does nothing inside a transaction.
    """
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def exists() -> bool:
    """Return False if the database is a SQLite file that does not exist, otherwise True.

    Does not connect to the database.
    """
    return connection.vendor != "sqlite" or os.path.exists(
        connection.settings_dict["NAME"]
    )


def limit_waiting() -> None:
    """Make every statement of this process fail after IMAGECATALOG_DATABASE_SECONDS.

    For web processes: requests need an answer in time, while commands and the background worker can
    wait.
    """
    option = "timeout" if connection.vendor == "sqlite" else "patience"
    options = connections.settings[DEFAULT_DB_ALIAS]["OPTIONS"]
    options[option] = settings.IMAGECATALOG_DATABASE_SECONDS
