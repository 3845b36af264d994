"""A connection to PostgreSQL that limits the wait for a server that does not answer."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from imagecatalog.postgresql.pipeline import Pipeline

LIFETIME: Final = 3600.0  # seconds
RECHECK_SECONDS: Final = 1.0  # after which a read-only session is replaced
MARGIN: Final = 0.5  # seconds that the server has to report its own timeout
READ_ONLY: Final = ("default_transaction_read_only", "in_hot_standby")


class Connection(psycopg.Connection[Any]):
    """psycopg's connection, which waits at most ``patience`` seconds for the server.

    PostgreSQL's ``statement_timeout`` is not enough, because a server that hangs does not apply
    it.
    """

    patience: float | None = None  # seconds
    silence: str | None = None  # the error after the server did not answer in time

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opened_at = time.monotonic()
        self.returned_at = self._opened_at

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Wait for the server as psycopg does, but at most ``patience`` + 0.5 seconds; return the result.

        Raises OperationalError after this time, and closes the connection. Without ``patience``
        there is no limit.
        """
        if self.patience is not None:
            kwargs.setdefault("timeout", self.patience + MARGIN)
        try:
            return super().wait(*args, **kwargs)
        except psycopg.OperationalError as error:
            is_open = self.pgconn.transaction_status == TransactionStatus.ACTIVE
            # With a code the server has answered; the pipeline's transaction is still open.
            if is_open and error.sqlstate is None:
                self.pgconn.finish()  # else its late answer would be that of the next query
                self.silence = str(error)
            raise

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """Send the statements of the context without waiting for the results of earlier ones."""
        self._pipeline = Pipeline(self)
        try:
            with self._pipeline as pipeline:
                yield pipeline
        finally:
            self._pipeline = None

    def is_reusable(self) -> bool:
        """Return whether a later request can use the connection; does not ask the server.

        True if no transaction is open and the connection is less than an hour old.
        """
        is_idle = self.pgconn.transaction_status == TransactionStatus.IDLE
        is_idle = is_idle and self._pipeline is None
        return is_idle and self._age() < LIFETIME

    def is_usable(self) -> bool:
        """Return whether the connection is reusable and still works.

        Asks the server only if the server has sent bytes, as it does when it ends a connection. A
        read-only session counts as usable only in its first second: it would stay read-only even
        after the database has become writable.
        """
        if not self.is_reusable() or (self._has_news() and not self._answers()):
            return False
        return self._age() < RECHECK_SECONDS or not self._is_read_only()

    def _age(self) -> float:
        return time.monotonic() - self._opened_at

    def _has_news(self) -> bool:
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))

    def _answers(self) -> bool:
        try:
            self.execute("")
        except psycopg.Error:
            return False
        return True

    def _is_read_only(self) -> bool:
        status = self.pgconn.parameter_status
        return any(status(name.encode()) == b"on" for name in READ_ONLY)
