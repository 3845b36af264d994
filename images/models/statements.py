"""SQL statements that the ORM compiles once, and that are executed often with different values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Q, QuerySet
from django.db.models.sql import UpdateQuery


class Statement(NamedTuple):
    """A compiled SQL statement and its parameters, of which some can be placeholders for values."""

    sql: str
    params: tuple[Any, ...]


class Query:
    """A statement whose rows are read later than it is sent, so that others can be sent with it.

    In a pipelined transaction, all statements that are sent before rows are read need one round
    trip. SQLite, which needs none, executes the statement when its rows are read.
    """

    def __init__(self, statement: Statement) -> None:
        """Keep the statement; nothing is sent."""
        self._statement = statement
        self._cursor: CursorWrapper | None = None

    def send(self) -> None:
        """Send the statement."""
        if connection.vendor == "postgresql":
            self._cursor = self._executed()

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of the statement, which is sent now if it was not sent before."""
        with self._cursor or self._executed() as cursor:
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def _executed(self) -> CursorWrapper:
        cursor = connection.cursor()
        cursor.execute(*self._statement)
        return cursor


def compiled(queryset: QuerySet[Any]) -> Statement:
    """Return the SQL statement of a queryset. Raises EmptyResultSet if no row can match."""
    return Statement(*queryset.query.sql_with_params())


def compiled_update(queryset: QuerySet[Any], **values: Any) -> Statement:
    """Return the SQL statement that changes columns of the rows of a queryset to ``values``."""
    query = queryset.query.chain(UpdateQuery)
    query.add_update_values(values)  # type: ignore[attr-defined]
    return Statement(*query.sql_with_params())


class Varying(Exception):
    """The error for a condition whose SQL depends on its values, such as a list of values."""


class Placeholders:
    """Placeholders for values, so that statements of one form are compiled once.

    The values of a statement always get the same placeholders in their order, so a cached function
    of placeholders compiles each form of a statement once. A placeholder has the type of its value,
    so it can be compared with the same columns; no value of a column is equal to it.
    """

    def __init__(self) -> None:
        """Begin without values."""
        self._values: dict[Any, Any] = {}  # placeholder -> value, as in parameters

    def add(self, value: Any) -> Any:
        """Return the placeholder for a value of a row. None, True and False stand for themselves.

        Raises Varying for a value of another type than str, int and datetime.
        """
        number = len(self._values)
        match value:
            case None | bool():
                return value
            case str():
                text = f"\0{number}"
                self._values[text] = str(value)
                return text
            case int():
                # Django compiles comparisons with numbers that a column cannot hold otherwise.
                integer = _LAST - number
                self._values[integer] = value
                return integer
            case datetime():
                time = _FIRST + timedelta(days=number)
                adapt = connection.ops.adapt_datetimefield_value
                self._values[adapt(time)] = adapt(value)
                return time
        raise Varying

    def add_all(self, condition: Q) -> Q:
        """Return a condition with placeholders in place of its values.

        Raises Varying if it has values of other types than str and datetime, or expressions.
        """
        children: list[Q | tuple[str, Any]] = []
        for child in condition.children:
            match child:
                case Q():
                    children.append(self.add_all(child))
                case (str() as lookup, None | bool() | str() | datetime() as value):
                    children.append((lookup, self.add(value)))
                case _:
                    raise Varying
        return Q(*children, _connector=condition.connector, _negated=condition.negated)

    def fill_in(self, statement: Statement) -> Statement:
        """Return a statement with the values in place of the placeholders.

        Raises Varying if the statement lacks one of the placeholders: some conditions, such as
        those for a part of a text, put changed values into the statement.
        """
        if not self._values.keys() <= {*statement.params}:
            raise Varying
        params = (self._values.get(param, param) for param in statement.params)
        return Statement(statement.sql, tuple(params))


_LAST: Final = 2**31 - 1
_FIRST: Final = datetime(2, 1, 1, tzinfo=UTC)
