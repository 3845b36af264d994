"""Lookups for many values: of JSON columns, as in ``tags__holds=[...]``, and among many ids."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import JSONField, Lookup
from django.db.models.sql.compiler import SQLCompiler


@JSONField.register_lookup
class Holds(Lookup):
    """A lookup that matches if a JSON column contains every item of a list, or every pair of a dict.

    PostgreSQL uses the GIN index. SQLite has no such operator and scans the rows, about a
    microsecond each. Keys and values are parameters, never part of the SQL.
    """

    lookup_name = "holds"
    prepare_rhs = False  # Django would encode the list or dict as JSON

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        """Return the SQL of the condition for PostgreSQL, and its parameters."""
        from psycopg.types.json import Jsonb  # slow: not for SQLite

        column, params = self.process_lhs(compiler, connection)
        return f"{column} @> %s", [*params, Jsonb(self.rhs)]

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        """Return the SQL of the condition for SQLite, and its parameters."""
        column, params = self.process_lhs(compiler, connection)
        row = f"SELECT 1 FROM json_each({column}) AS item WHERE"
        if isinstance(self.rhs, dict):
            clause = f"EXISTS ({row} item.key = %s AND item.value = %s)"
            items: Iterable[tuple[str, ...]] = self.rhs.items()
        else:
            clause = f"EXISTS ({row} item.value = %s)"
            items = [(item,) for item in self.rhs]
        clauses, values = [], []
        for item in items:
            clauses.append(clause)
            values += [*params, *item]
        return " AND ".join(clauses) or "1 = 1", values


class IsAnyOf(Lookup):
    """A lookup that matches if a column has one of many values, which are one parameter.

    Django's own lookup has a parameter for each value, and PostgreSQL allows 65,535 in a query.
    """

    lookup_name = "is_any_of"
    prepare_rhs = False  # Django would make the values one text

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        """Return the SQL of the condition for PostgreSQL, and its parameters."""
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*params, list(self.rhs)]

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        """Return the SQL of the condition for SQLite, and its parameters."""
        column, params = self.process_lhs(compiler, connection)
        values = json.dumps(list(self.rhs))
        return f"{column} IN (SELECT value FROM json_each(%s))", [*params, values]
