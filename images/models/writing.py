"""Insert and update one row with statements that are made once.

Django compiles a statement for each ``save``, which takes longer than to execute it. Unlike
``save``, these functions send no signals.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Field, Model, TextField
from django.db.models.expressions import DatabaseDefault

TEXT = (CharField, TextField)


def insert(row: Model) -> None:
    """Insert a new row. A key that the database assigns is not read back.

    Raises IntegrityError if the row violates a constraint.
    """
    meta, database = row._meta, connections[DEFAULT_DB_ALIAS]
    given = {}  # column -> value
    for field in meta.local_concrete_fields:
        value = field.pre_save(row, True)
        is_assigned = field.primary_key and value is None
        if not (is_assigned or isinstance(value, DatabaseDefault)):
            given[field.column] = _prepared(field, value, database)
    _execute(_insert(meta.db_table, tuple(given)), list(given.values()))
    row._state.adding = False
    row._state.db = DEFAULT_DB_ALIAS


def update(row: Model, names: Iterable[str]) -> None:
    """Write the named fields of a row that exists: this transaction has locked it."""
    meta, database = row._meta, connections[DEFAULT_DB_ALIAS]
    written = {}  # column -> value
    for name in names:
        field: Field[Any, Any] = meta.get_field(name)  # type: ignore[assignment]
        value = field.pre_save(row, False)
        written[field.column] = _prepared(field, value, database)
    sql = _update(meta.db_table, tuple(written), meta.pk.column)
    _execute(sql, [*written.values(), row.pk])


def _prepared(field: Field[Any, Any], value: Any, database: BaseDatabaseWrapper) -> Any:
    """Return a value as the statement needs it.

    Text and NULL are written as they are, which Django only finds out after several calls.
    """
    if value is None or (isinstance(value, str) and isinstance(field, TEXT)):
        return value
    return field.get_db_prep_save(value, database)


def _execute(sql: str, values: list[Any]) -> None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(sql, values)


@lru_cache(maxsize=256)
def _insert(table: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join(["%s"] * len(columns))
    return f'INSERT INTO "{table}" ({names}) VALUES ({marks})'


@lru_cache(maxsize=256)
def _update(table: str, columns: tuple[str, ...], key: str) -> str:
    assignments = ", ".join(f'"{column}" = %s' for column in columns)
    return f'UPDATE "{table}" SET {assignments} WHERE "{key}" = %s'
