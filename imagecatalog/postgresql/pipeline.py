"""Pipelining: statements that PostgreSQL executes without waiting for the client in between."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db.backends.postgresql.base import ServerBindingCursor
from psycopg import generators
from psycopg.abc import PQGen


class Cursor(ServerBindingCursor, psycopg.Cursor[Any]):
    """Django's cursor, which waits for the result of a pipelined statement when it is asked for it."""

    @property
    def rowcount(self) -> int:
        """The number of rows that the statement has changed or returns."""
        self._fetch_pipeline()
        return super().rowcount

    @property
    def description(self) -> list[psycopg.Column] | None:
        """The columns of the rows that the statement returns; None if it returns no rows."""
        self._fetch_pipeline()
        return super().description


class Pipeline(psycopg.Pipeline):
    """psycopg's pipeline, which sends its statements together once it has to wait for a result.

    psycopg itself sends each at once, so the server wakes up for each.
    """

    _is_synced = True  # the server has confirmed the end of everything that was sent

    def _communicate_gen(self) -> PQGen[None]:
        self._is_synced = False
        yield from ()

    def _fetch_gen(self, *, flush: bool) -> PQGen[None]:
        while self.command_queue:
            self.command_queue.popleft()()  # into the buffer of libpq
        yield from generators.send(self.pgconn)
        yield from super()._fetch_gen(flush=flush)

    def _sync_gen(self) -> PQGen[None]:
        yield from super()._sync_gen()
        self._is_synced = True

    def _exit_gen(self) -> PQGen[None]:
        if not self._is_synced:
            yield from super()._exit_gen()
