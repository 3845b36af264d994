"""The lock that lets only one process at a time prepare the database, on whatever machine it runs.

With PostgreSQL it is an advisory lock of the session, with SQLite the lock of a file in the data
folder. The lock is released when the process ends.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from django.conf import settings
from django.db import Error, connection

from images import data_folder

log = logging.getLogger(__name__)

MIGRATION_LOCK: Final = (
    0x696D6167  # a number that other programs on the database do not use
)
RETRY_SECONDS: Final = 0.5
REPEAT_SECONDS: Final = 60.0  # between two log lines about the wait
HOLDER: Final = """
    SELECT coalesce(host(client_addr), 'the database''s machine'), pid
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND granted
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextmanager
def held() -> Iterator[None]:
    """Hold the lock within the context. Waits until the lock is free, and logs who holds it."""
    lock = _advisory if connection.vendor == "postgresql" else _of_file
    with lock():
        yield


@contextmanager
def _advisory() -> Iterator[None]:
    with connection.cursor() as cursor:

        def take() -> bool:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATION_LOCK])
            return bool(cursor.fetchone()[0])

        def holder() -> str:
            cursor.execute(HOLDER, [MIGRATION_LOCK])
            address, pid = cursor.fetchone() or ("another machine", "unknown")
            return f"a client at {address} (server process {pid})"

        # Not by a statement that waits: the server may limit how long a statement takes.
        _wait(take, holder)
        try:
            yield
        finally:
            with suppress(Error):  # the lock has ended with its session
                cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])


@contextmanager
def _of_file() -> Iterator[None]:
    path = settings.IMAGECATALOG_DATA_DIR / "migrate.lock"
    with data_folder.explained(path):
        file = path.open("w")

    def take() -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    with file:
        _wait(take, lambda: f"the process that has locked {path}")
        yield


def _wait(take: Callable[[], bool], holder: Callable[[], str]) -> None:
    tell_at = time.monotonic()
    while not take():
        if time.monotonic() >= tell_at:
            log.info(
                "the database is being prepared by %s: waiting for its end", holder()
            )
            tell_at += REPEAT_SECONDS
        time.sleep(RETRY_SECONDS)
