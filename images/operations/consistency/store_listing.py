"""The listing of a store, outside of memory: a store may hold more keys than fit into it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from images.operations.consistency.finding import BATCH


class Listing:
    """Keys with their sizes in bytes; what nobody takes is left. ``close`` it at the end."""

    def __init__(self) -> None:
        # Without a name SQLite keeps it in a temporary file, which nobody else sees.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute(
            "CREATE TABLE found (key TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID"
        )

    def close(self) -> None:
        self._db.close()

    def fill(self, found: Iterable[tuple[str, int]]) -> None:
        """Take in a whole listing."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO found VALUES (?, ?)", found)
        self._db.execute("COMMIT")

    def take(self, keys: Sequence[str]) -> dict[str, int]:
        """The sizes of those that are there; they are not left over."""
        marks = ",".join("?" * len(keys))
        gone = self._db.execute(
            f"DELETE FROM found WHERE key IN ({marks}) RETURNING key, size", keys
        )
        return dict(gone.fetchall())

    def left(self) -> Iterator[dict[str, int]]:
        """Key -> size of all that nobody took, in batches."""
        after = ""
        while batch := self._page(after):
            yield batch
            after = max(batch)

    def _page(self, after: str) -> dict[str, int]:
        rows = self._db.execute(
            "SELECT key, size FROM found WHERE key > ? ORDER BY key LIMIT ?",
            (after, BATCH),
        )
        return dict(rows.fetchall())
