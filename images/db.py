"""The pool of database connections, which has fewer connections than there are threads."""

from __future__ import annotations

from django.db import connection


def release_connection() -> None:
    """Return this thread's database connection to the pool; the next query takes one again.

    Call it before waiting for data or a free slot: otherwise as many slow clients as the pool
    has connections would stop the service. Does nothing inside a transaction.
    """
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
