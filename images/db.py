"""The pool of database connections, of which there are fewer than threads."""

from __future__ import annotations

from django.db import connection


def release_connection() -> None:
    """Give this thread's connection back while it waits for something else: bytes, or its turn.

    Otherwise as many slow clients as the pool has connections would stop the service.
    """
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
