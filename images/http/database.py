"""Renewal of the pooled database connections after the database was unavailable."""

from __future__ import annotations

import threading

from django.db import connection

_renewing = threading.Lock()


def renew() -> None:
    """Replace the broken idle database connections of this process, in the background.

    Otherwise each of them would fail one more request, perhaps much later. (A check before
    every request would cost a round trip each time.)
    """
    pool = getattr(connection, "pool", None)  # SQLite has none
    if pool is not None and _renewing.acquire(blocking=False):
        threading.Thread(target=_check, args=[pool], daemon=True).start()


def _check(pool: object) -> None:
    try:
        pool.check()  # type: ignore[attr-defined]
    finally:
        _renewing.release()
