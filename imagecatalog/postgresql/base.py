"""The database backend for PostgreSQL. Django requires that this module is named ``base``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, ClassVar

import psycopg
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from django.db.backends.utils import debug_transaction

from imagecatalog.postgresql import hosts
from imagecatalog.postgresql.connection import Connection
from imagecatalog.postgresql.pipeline import Cursor
from imagecatalog.postgresql.pool import Pool

# The wait for a row that another transaction has locked. PostgreSQL can wait for so long twice:
# for its turn among the transactions that wait for the row, and for the row. The wait is short,
# so that a request returns its connection before other requests have waited for one in vain.
LOCK_SECONDS = 1.0
IDLE_SECONDS = 30.0  # after which a transaction without a statement is ended
# The planner would compile statements that it expects to take long, which takes longer than they do;
# and it would plan cursors for their first rows, although all rows are read.
PLANNING = {"jit": "off", "cursor_tuple_fraction": "1"}


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's backend for PostgreSQL, with the connection pool of this package.

    ``OPTIONS["pool"]`` has the arguments of the pool. ``OPTIONS["patience"]`` is the number of
    seconds that a statement can take. It is not set for commands, whose statements can take any
    time.
    """

    _pools: ClassVar[dict[str, Pool]] = {}  # by the alias of the database
    _prepares = True  # statements that are executed often

    @property
    def pool(self) -> Pool | None:
        """The connection pool of this process, which is created at the first access.

        None if ``OPTIONS`` has no ``pool``, and for the connection that creates test databases.
        """
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        if self.alias not in self._pools:
            self._pools.setdefault(self.alias, Pool(self._connect, **options))
        return self._pools[self.alias]

    def close_pool(self) -> None:
        """Close the connection pool of this process, with its idle connections."""
        if pool := self._pools.pop(self.alias, None):
            pool.close()

    def get_connection_params(self) -> dict[str, Any]:
        """Return the arguments for ``psycopg.connect``: Django's, without the option ``patience``.

        Of several hosts, the one that answered last is the first.
        """
        params: dict[str, Any] = super().get_connection_params()
        params.pop("patience", None)
        return hosts.last_one_first(params) | {"cursor_factory": Cursor}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a new connection, or one of the pool (called by Django)."""
        connection = super().get_new_connection(conn_params)
        if self.pool is None:
            hosts.remember(connection)
        return connection

    @contextmanager
    def planned_for_values(self) -> Iterator[None]:
        """Prepare no statement in the context, so that each is planned for the values that it has."""
        self._prepares = False
        try:
            yield
        finally:
            self._prepares = True

    def create_cursor(self, name: str | None = None) -> Any:
        """Return a cursor (called by Django)."""
        threshold = self.settings_dict["OPTIONS"].get("prepare_threshold")
        self.connection.prepare_threshold = threshold if self._prepares else None
        return super().create_cursor(name)

    @contextmanager
    def pipelined(self) -> Iterator[None]:
        """Send the statements of a transaction in the context without waiting for each other.

        The connection waits when the result of a statement is read, and at the end of a transaction
        or savepoint, which then raises the error of an earlier statement. A context in another one
        changes nothing.
        """
        self.ensure_connection()
        if self._pipeline is not None:
            yield
            return
        with self.wrap_database_errors, self.connection.pipeline():
            yield

    def chunked_cursor(self) -> Any:
        """Return a cursor that reads rows in portions, or in a pipeline all rows at once.

        psycopg has no server-side cursors in a pipeline.
        """
        return super().chunked_cursor() if self._pipeline is None else self.cursor()

    @property
    def _pipeline(self) -> psycopg.Pipeline | None:
        return self.connection._pipeline if self.connection else None

    def _set_autocommit(self, autocommit: bool) -> None:
        if self._pipeline is None:
            super()._set_autocommit(autocommit)  # type: ignore[misc]
        elif not autocommit:
            # psycopg would wait for the response to its own BEGIN.
            with self.wrap_database_errors:
                self.connection.execute("BEGIN")

    def _commit(self) -> None:
        if self._pipeline is None:
            super()._commit()  # type: ignore[misc]
            return
        # psycopg's own COMMIT is sent only once the server has confirmed the BEGIN.
        with debug_transaction(self, "COMMIT"), self.wrap_database_errors:
            self.connection.execute("COMMIT")
            self._pipeline.sync()

    def _rollback(self) -> None:
        self._leave_failed_pipeline()
        super()._rollback()  # type: ignore[misc]

    def _savepoint_commit(self, sid: str) -> None:
        super()._savepoint_commit(sid)  # type: ignore[misc]
        if self._pipeline is not None:
            with self.wrap_database_errors:
                self._pipeline.sync()

    def _savepoint_rollback(self, sid: str) -> None:
        self._leave_failed_pipeline()
        super()._savepoint_rollback(sid)  # type: ignore[misc]

    def _leave_failed_pipeline(self) -> None:
        """Let the server execute statements again after one that has failed, which is no news."""
        if self._pipeline is not None:
            with suppress(psycopg.Error):
                self._pipeline.sync()

    def _connect(self) -> Connection:
        params = self.get_connection_params() | {"autocommit": True}
        connection = Connection.connect(**params)
        hosts.remember(connection)
        self._configure_connection(connection)  # type: ignore[attr-defined]
        connection.patience = self.settings_dict["OPTIONS"].get("patience")
        settings = PLANNING | _limits(connection.patience)
        # Not as startup parameters, which PgBouncer refuses.
        calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
        connection.execute(f"SELECT {calls}", [*chain.from_iterable(settings.items())])
        return connection


def _limits(patience: float | None) -> dict[str, str]:
    """Return the server's time limits for statements that can take ``patience`` seconds, None: any time."""
    if patience is None:
        return {}
    limits = {
        "statement_timeout": patience,
        "lock_timeout": min(LOCK_SECONDS, patience),
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
    }
    return {name: f"{limit * 1000:.0f}" for name, limit in limits.items()}  # ms
