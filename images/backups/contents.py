"""The content of a database of the catalogue: its tables, and the objects that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend
from django.utils import timezone

from images.models import (
    Event,
    Image,
    ImageLocation,
    Transfer,
    UploadChunk,
    WorkerPause,
)
from images.stores import HTTP

SQLITE: Final = "django.db.backends.sqlite3"
TRANSFERS: Final = Transfer._meta.db_table
# Instead of the secrets of transfers, which a backup must not have: nothing decrypts it.
REMOVED_SECRET: Final = "removed"

LOCATIONS: Final = f"""
    FROM {ImageLocation._meta.db_table} AS location
    JOIN {Image._meta.db_table} AS image ON image.id = location.image_id
    WHERE location.status <> 'deleted' AND location.delete_after IS NULL
    AND location.store <> '{HTTP.id}'
"""
OBJECTS: Final = f"""
    SELECT location.store, location.key, image.size, image.os_hash_algo, image.os_hash_value
    {LOCATIONS}
    UNION ALL
    SELECT transfer.store, chunk.key, chunk.size, 'sha256', chunk.digest
    FROM {UploadChunk._meta.db_table} AS chunk
    JOIN {TRANSFERS} AS transfer ON transfer.id = chunk.transfer_id
    WHERE chunk.status = 'stored'
"""
STORES: Final = f"""
    SELECT location.store, COUNT(*), SUM(image.size) {LOCATIONS}
    GROUP BY location.store ORDER BY location.store
"""
MIGRATIONS: Final = "SELECT app, name FROM django_migrations ORDER BY app, name"
NEWEST_EVENT: Final = f"SELECT MAX(id) FROM {Event._meta.db_table}"


@dataclass(frozen=True)
class Facts:
    """Figures about the content of a database, which are equal in a backup and after its restore.

    They are the applied migrations, the number of rows of each table, the objects and bytes in each
    store, and the id of the newest event.
    """

    migrations: list[str]
    tables: dict[str, int]  # rows
    stores: dict[str, dict[str, int]]  # the objects of images, and their bytes
    newest_event: int | None


class NeededObject(NamedTuple):
    """A stored object that the catalogue needs.

    Its size and digest are None or empty if they are unknown.
    """

    store: str
    key: str
    size: int | None
    algorithm: str | None
    digest: str | None


def facts(database: BaseDatabaseWrapper) -> Facts:
    """Return the figures about the content of a database, after counting the rows of each table."""
    with database.cursor() as cursor:
        tables = {
            name: _rows(cursor, f"SELECT COUNT(*) FROM {database.ops.quote_name(name)}")
            for name in sorted(database.introspection.table_names(cursor))
        }
        return Facts(
            migrations=[f"{app}.{name}" for app, name in _rows(cursor, MIGRATIONS)],
            tables={name: count for name, ((count,),) in tables.items()},
            stores={
                store: {"objects": count, "bytes": int(size or 0)}
                for store, count, size in _rows(cursor, STORES)
            },
            newest_event=_rows(cursor, NEWEST_EVENT)[0][0],
        )


def needed_objects(database: BaseDatabaseWrapper) -> Iterator[NeededObject]:
    """Yield the stored objects that a database needs.

    They are the objects of images, also of images in the trash, and those of unfinished uploads.
    """
    with database.chunked_cursor() as cursor:
        cursor.execute(OBJECTS)
        for row in cursor:
            yield NeededObject._make(row)


def pause_workers(database: BaseDatabaseWrapper, reason: str) -> None:
    """Write into a restored database that the background workers are paused, for ``reason``.

    Call it before any worker can use the database.
    """
    table = WorkerPause._meta.db_table
    since = database.ops.adapt_datetimefield_value(timezone.now())
    with database.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")
        cursor.execute(
            f"INSERT INTO {table} (id, since, reason) VALUES (1, %s, %s)",
            [since, reason],
        )


@contextmanager
def opened_sqlite(name: str) -> Iterator[BaseDatabaseWrapper]:
    """A context manager that opens the SQLite database in the file ``name``, and yields it.

    The options that the settings have for the service's own database do not apply.
    """
    settings = {**connections[DEFAULT_DB_ALIAS].settings_dict, "OPTIONS": {}}
    wrapper = load_backend(SQLITE).DatabaseWrapper
    yield from _closing(wrapper({**settings, "NAME": name}))


@contextmanager
def opened_postgresql(name: str) -> Iterator[BaseDatabaseWrapper]:
    """A context manager that connects to a database of the service's PostgreSQL server, and yields it.

    ``name`` is the name of the database. The connection does not come from the connection pool.
    """
    database = connections.create_connection(DEFAULT_DB_ALIAS)
    settings = database.settings_dict
    options = {
        key: value for key, value in settings["OPTIONS"].items() if key != "pool"
    }
    database.settings_dict = {**settings, "NAME": name, "OPTIONS": options}
    yield from _closing(database)


def _closing(database: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    try:
        yield database
    finally:
        database.close()


def _rows(cursor: Any, query: str) -> list[tuple[Any, ...]]:
    cursor.execute(query)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
