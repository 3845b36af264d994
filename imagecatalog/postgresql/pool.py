"""A pool of database connections for a process that has more threads than connections.

psycopg's own pool is made for servers that come back slowly: it connects in the background,
with growing pauses, and lets every request wait meanwhile. This pool connects in the thread
that needs the connection, so the request fails at once with the reason, and succeeds at once
after the outage.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import psycopg

from imagecatalog.postgresql.connection import Connection
from imagecatalog.postgresql.fair_semaphore import FairSemaphore

IDLE_SECONDS: Final = 600.0  # after which a connection that nobody needed is closed
RETRY_SECONDS: Final = 0.5  # between two attempts to connect during an outage


class Pool:
    """A pool of at most ``size`` connections. A thread waits at most ``timeout`` seconds for one.

    A free connection goes to the thread that has waited for longest.
    """

    def __init__(
        self, connect: Callable[[], Connection], size: int, timeout: float
    ) -> None:
        self._connect = connect
        self.size = size
        self._timeout = timeout
        self._places = FairSemaphore(size)
        self._idle: deque[Connection] = deque()  # the last used one is the first reused
        self._closed = False
        self._failure: str | None = None  # of the last attempt to connect
        self._retry_at = 0.0
        self._retrying = threading.Lock()

    @property
    def used(self) -> int:
        """The number of threads that have a connection, or are opening one."""
        return self.size - self._places.free

    @property
    def idle(self) -> int:
        """The number of open connections that no thread uses."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """The number of threads that wait for a connection."""
        return self._places.waiting

    def open(self) -> None:
        """Do nothing: connections are opened when they are needed (called by Django)."""

    def close(self) -> None:
        """Close the idle connections now, and those in use when they are returned."""
        self._closed = True
        while (connection := self._take_idle()) is not None:
            connection.close()

    def getconn(self) -> Connection:
        """Take a working connection from the pool, or open one; ``putconn`` takes it back.

        Raises psycopg.OperationalError if no connection becomes free in time, or if the database
        accepts no connection.
        """
        if not self._places.acquire(self._timeout):
            raise psycopg.OperationalError(
                f"no connection became free within {self._timeout:g} seconds"
            )
        try:
            connection = self._usable() or self._opened()
        except BaseException:
            self._places.release()
            raise
        connection._pool = self  # type: ignore[assignment]
        return connection

    def putconn(self, connection: Connection) -> None:
        """Take back a connection after its use; close it if no later request can use it."""
        connection._pool = None
        if connection.silence:
            self._remember(connection.silence)
        if self._closed or not connection.is_reusable():
            connection.close()
        else:
            connection.returned_at = time.monotonic()
            self._idle.append(connection)
        self._places.release()
        self._close_unneeded()

    def _usable(self) -> Connection | None:
        while (connection := self._take_idle()) is not None:
            if connection.is_usable():
                return connection
            connection.close()
        return None

    def _take_idle(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _close_unneeded(self) -> None:
        """Close the connection that was idle for longest, if that is at least 10 minutes."""
        try:
            connection = self._idle.popleft()
        except IndexError:
            return
        if time.monotonic() - connection.returned_at < IDLE_SECONDS:
            self._idle.appendleft(connection)
        else:
            connection.close()

    def _opened(self) -> Connection:
        if self._failure is None:
            return self._attempt()
        # During an outage one thread at a time tries to connect; the others get its error.
        if not self._retrying.acquire(timeout=RETRY_SECONDS):
            raise self._failed_again()
        try:
            if self._failure is not None and time.monotonic() < self._retry_at:
                raise self._failed_again()
            return self._attempt()
        finally:
            self._retrying.release()

    def _attempt(self) -> Connection:
        try:
            connection = self._connect()
        except psycopg.Error as error:
            self._remember(str(error))
            raise
        self._failure = None
        return connection

    def _remember(self, failure: str) -> None:
        self._failure = failure
        self._retry_at = time.monotonic() + RETRY_SECONDS

    def _failed_again(self) -> psycopg.OperationalError:
        return psycopg.OperationalError(self._failure or "the connection failed")
