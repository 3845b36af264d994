"""The database backend; Django finds it by the name of this module."""

from __future__ import annotations

import os
import sqlite3
from typing import Any
from urllib.parse import quote

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's SQLite backend, which never creates the file and notices its replacement.

    SQLite itself would continue in a file that was removed or replaced, where all changes are
    lost.
    """

    _opened: tuple[int, int] | None = None

    def get_connection_params(self) -> dict[str, Any]:
        """Return the arguments for ``sqlite3.connect``, which then creates no file."""
        params: dict[str, Any] = super().get_connection_params()
        params["database"] = f"file:{quote(str(params['database']))}?mode=rw"
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        """Open the file. Raises OperationalError if it does not exist."""
        connection: sqlite3.Connection = super().get_new_connection(conn_params)
        self._opened = self._file()
        return connection

    def close_if_unusable_or_obsolete(self) -> None:
        """Close the connection as Django does, or if its file was removed or replaced."""
        if self.connection is not None and self._file() != self._opened:
            self.close()
        super().close_if_unusable_or_obsolete()

    def _file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.settings_dict["NAME"])
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
