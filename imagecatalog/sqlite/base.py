"""The database backend for SQLite. Django requires that this module is named ``base``."""

from __future__ import annotations

import os
import sqlite3
from typing import Any
from urllib.parse import quote

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's SQLite backend, which never creates a database file, and notices a replaced file.

    Otherwise SQLite would continue to write into the file that was removed or replaced, and all
    changes would be lost.
    """

    _opened: tuple[int, int] | None = None

    def get_connection_params(self) -> dict[str, Any]:
        """Return the arguments for ``sqlite3.connect``: they make SQLite open only a file that exists."""
        params: dict[str, Any] = super().get_connection_params()
        params["database"] = f"file:{quote(str(params['database']))}?mode=rw"
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        """Open the database file, and return the connection.

        Raises OperationalError if the file does not exist.
        """
        connection: sqlite3.Connection = super().get_new_connection(conn_params)
        self._opened = self._file()
        return connection

    def close_if_unusable_or_obsolete(self) -> None:
        """Close the connection if its file was removed or replaced, or if Django would close it."""
        if self.connection is not None and self._file() != self._opened:
            self.close()
        super().close_if_unusable_or_obsolete()

    def _file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.settings_dict["NAME"])
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
