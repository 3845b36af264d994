"""Insert and update one row with statements that are made once.

Django compiles a statement for each ``save``, which takes longer than to execute it. Unlike
``save``, these functions send no signals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Field, Model
from django.db.models.expressions import DatabaseDefault


def insert(row: Model) -> None:
    """Insert a new row. A key that the database assigns is not read back.

    Raises IntegrityError if the row violates a constraint.
    """
    fields = [
        field for field in row._meta.local_concrete_fields if _is_given(row, field)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _insert(type(row), tuple(fields)), _values(row, fields, add=True)
        )
    row._state.adding = False
    row._state.db = connection.alias


def update(row: Model, names: Iterable[str]) -> None:
    """Write the named fields of a row that exists: this transaction has locked it."""
    fields: list[Field[Any, Any]] = [row._meta.get_field(name) for name in names]  # type: ignore[misc]
    with connection.cursor() as cursor:
        values = [*_values(row, fields, add=False), row.pk]
        cursor.execute(_update(type(row), tuple(fields)), values)


def _is_given(row: Model, field: Field[Any, Any]) -> bool:
    value = getattr(row, field.attname)
    is_assigned = field.primary_key and value is None
    return not (is_assigned or isinstance(value, DatabaseDefault))


def _values(row: Model, fields: Sequence[Field[Any, Any]], *, add: bool) -> list[Any]:
    return [
        field.get_db_prep_save(field.pre_save(row, add), connection) for field in fields
    ]


@lru_cache(maxsize=256)
def _insert(model: type[Model], fields: tuple[Field[Any, Any], ...]) -> str:
    columns = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    return f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({marks})'


@lru_cache(maxsize=256)
def _update(model: type[Model], fields: tuple[Field[Any, Any], ...]) -> str:
    assignments = ", ".join(f'"{field.column}" = %s' for field in fields)
    key = model._meta.pk.column
    return f'UPDATE "{model._meta.db_table}" SET {assignments} WHERE "{key}" = %s'
