"""The index of the searched texts of images: trigrams in PostgreSQL, FTS5 in SQLite.

The index is not part of a migration, because not every database can have it: each run of the
command ``migrate`` creates it if it is missing. The database itself keeps it up to date, also when
an earlier release writes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from images import db
from images.models import Image
from images.search.text import text_sql

log = logging.getLogger(__name__)

IMAGES: Final = Image._meta.db_table
SHORTEST: Final = 3  # characters of a word that the index finds
# If the searched text changes in a later release, the names have to change with it.
POSTGRESQL_INDEX: Final = db.SEARCH_INDEX
SQLITE_ROWS: Final = "images_searched"  # gives each image a number, as FTS5 needs
SQLITE_INDEX: Final = "images_searched_text"
# In the schema where the extension is: after a restore it can be that of the replaced tables.
OPERATORS: Final = (
    "SELECT quote_ident(nspname) || '.gin_trgm_ops' FROM pg_extension"
    " JOIN pg_namespace AS schema ON schema.oid = extnamespace WHERE extname = %s"
)

_EXISTS = {
    "postgresql": (
        "SELECT EXISTS (SELECT 1 FROM pg_index WHERE indisvalid"
        f" AND indexrelid = to_regclass('{POSTGRESQL_INDEX}'))"
    ),
    # The triggers are lost when a migration makes the table of the images anew.
    "sqlite": (
        "SELECT COUNT(*) = 3 FROM sqlite_master"
        f" WHERE type = 'trigger' AND name LIKE '{SQLITE_INDEX}_%'"
    ),
}


def exists(using: str = DEFAULT_DB_ALIAS) -> bool:
    """Return whether the database has the index. One query."""
    database = connections[using]
    with database.cursor() as cursor:
        cursor.execute(_EXISTS[database.vendor])
        return bool(cursor.fetchone()[0])


def ensure(using: str = DEFAULT_DB_ALIAS, **signal: Any) -> None:
    """Create the index if it is missing and the database can have it. Receives ``post_migrate``.

    The log says why a database cannot have it; searches read all images then.
    """
    if exists(using):
        return
    database = connections[using]
    create = _create_trigrams if database.vendor == "postgresql" else _create_fts5
    try:
        create(database)
    except DatabaseError as error:
        log.warning("no index for the search of images: %s", str(error).strip())


def _create_trigrams(database: BaseDatabaseWrapper) -> None:
    """Create the index for PostgreSQL, without blocking writes unless a transaction is open."""
    with transaction.atomic(database.alias), database.cursor() as cursor:
        cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {db.SEARCH_EXTENSION}")
        cursor.execute(OPERATORS, [db.SEARCH_EXTENSION])
        (operators,) = cursor.fetchone()
    how = "" if database.in_atomic_block else "CONCURRENTLY"
    _execute(
        database,
        (
            f"DROP INDEX IF EXISTS {POSTGRESQL_INDEX}",  # of an interrupted creation
            f"CREATE INDEX {how} {POSTGRESQL_INDEX} ON {IMAGES}"
            f" USING gin (({text_sql(database.vendor)}) {operators})",
            f"ANALYZE {IMAGES}",  # the planner needs statistics of the expression
        ),
    )


def _create_fts5(database: BaseDatabaseWrapper) -> None:
    """Create the index for SQLite: an FTS5 table, its row numbers, and triggers that update both."""

    def text(row: str) -> str:
        return text_sql(database.vendor, row)

    def add(row: str) -> str:
        return (
            f"INSERT INTO {SQLITE_INDEX} (rowid, words)"
            f" SELECT number, {text(row)} FROM {SQLITE_ROWS} WHERE image_id = {row}id;"
        )

    def remove(row: str) -> str:
        return (
            f"INSERT INTO {SQLITE_INDEX} ({SQLITE_INDEX}, rowid, words)"
            f" SELECT 'delete', number, {text(row)} FROM {SQLITE_ROWS}"
            f" WHERE image_id = {row}id;"
        )

    statements = (
        *(
            f"DROP TRIGGER IF EXISTS {SQLITE_INDEX}_{event}"
            for event in ("insert", "update", "delete")
        ),
        f"DROP TABLE IF EXISTS {SQLITE_INDEX}",
        f"DROP TABLE IF EXISTS {SQLITE_ROWS}",
        f"CREATE TABLE {SQLITE_ROWS} (number INTEGER PRIMARY KEY,"
        " image_id varchar(36) NOT NULL UNIQUE)",
        # Without the texts themselves, and without positions: the search compares the texts.
        f"CREATE VIRTUAL TABLE {SQLITE_INDEX} USING fts5"
        " (words, content='', tokenize='trigram', detail=none)",
        f"INSERT INTO {SQLITE_ROWS} (image_id)"
        f" SELECT id FROM {IMAGES} ORDER BY created_at",
        f"INSERT INTO {SQLITE_INDEX} (rowid, words)"
        f" SELECT number, {text('image.')} FROM {SQLITE_ROWS} AS searched"
        f" JOIN {IMAGES} AS image ON image.id = searched.image_id ORDER BY number",
        f"CREATE TRIGGER {SQLITE_INDEX}_insert AFTER INSERT ON {IMAGES} BEGIN"
        f" INSERT INTO {SQLITE_ROWS} (image_id) VALUES (new.id); {add('new.')} END",
        f"CREATE TRIGGER {SQLITE_INDEX}_update"
        f" AFTER UPDATE OF name, tags, properties ON {IMAGES}"
        f" WHEN {text('old.')} <> {text('new.')}"
        f" BEGIN {remove('old.')} {add('new.')} END",
        f"CREATE TRIGGER {SQLITE_INDEX}_delete AFTER DELETE ON {IMAGES}"
        f" BEGIN {remove('old.')}"
        f" DELETE FROM {SQLITE_ROWS} WHERE image_id = old.id; END",
    )
    with transaction.atomic(database.alias):
        _execute(database, statements)


def _execute(database: BaseDatabaseWrapper, statements: Iterable[str]) -> None:
    with database.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def find_in_fts5(
    database: BaseDatabaseWrapper, words: Sequence[str], limit: int
) -> list[str]:
    """Return the ids of at most ``limit`` images whose texts have the trigrams of all words.

    For SQLite. A text can have the trigrams of a word without the word. One query.
    """
    trigrams = {
        word[start : start + SHORTEST].replace('"', '""')
        for word in words
        for start in range(len(word) - SHORTEST + 1)
    }
    query = " AND ".join(f'"{trigram}"' for trigram in sorted(trigrams))
    with database.cursor() as cursor:
        cursor.execute(
            f"SELECT image_id FROM {SQLITE_INDEX}"
            f" JOIN {SQLITE_ROWS} ON number = {SQLITE_INDEX}.rowid"
            f" WHERE {SQLITE_INDEX} MATCH %s LIMIT %s",
            [query, limit],
        )
        return [image_id for (image_id,) in cursor.fetchall()]
