"""SQL statements that the ORM compiles once, and that are executed often with different values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

# A placeholder for the id of an image, which no image can have.
IMAGE_ID: Final = "\0id"


class Statement(NamedTuple):
    """A compiled SQL statement and its parameters, of which some can be placeholders for values."""

    sql: str
    params: tuple[Any, ...]

    def bind(self, values: Mapping[str, str | None]) -> list[Any]:
        """Return the parameters of the statement with ``values`` (placeholder -> value) filled in."""
        return [values.get(param, param) for param in self.params]


def compiled(queryset: QuerySet[Any]) -> Statement:
    """Return the SQL statement of a queryset. Raises EmptyResultSet if no row can match."""
    return Statement(*queryset.query.sql_with_params())
