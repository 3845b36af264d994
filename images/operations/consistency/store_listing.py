"""The listing of a store, on disk: a store can hold more keys than fit into memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from images.operations.consistency.finding import BATCH


class Listing:
    """The keys and sizes (bytes) of a store's objects, in a temporary table.

    The caller removes the keys that the database knows; no row refers to the keys that remain.
    ``close`` deletes the table.
    """

    def __init__(self) -> None:
        # Without a name SQLite uses a private temporary file.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute(
            "CREATE TABLE found (key TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Close the table and remove its file."""
        self._db.close()

    def fill(self, listing: Iterable[tuple[str, int]]) -> None:
        """Insert the (key, size in bytes) of all objects of a store."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO found VALUES (?, ?)", listing)
        self._db.execute("COMMIT")

    def take(self, keys: Sequence[str]) -> dict[str, int]:
        """Remove these keys from the listing; return those that it had, with their sizes (bytes)."""
        marks = ",".join("?" * len(keys))
        removed = self._db.execute(
            f"DELETE FROM found WHERE key IN ({marks}) RETURNING key, size", keys
        )
        return dict(removed.fetchall())

    def left(self) -> Iterator[dict[str, int]]:
        """Yield the remaining keys with their sizes (bytes), as dicts of at most 500 keys."""
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
