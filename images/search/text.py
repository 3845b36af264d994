"""The searched text of an image as an SQL expression, and the condition that it contains a word."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, Lookup, TextField
from django.db.models.sql.compiler import SQLCompiler

# The properties that tell the operating system of an image. Names without quotes: they are written
# into the SQL.
OS_PROPERTIES: Final = ("os_distro", "os_version", "os_type", "architecture")

# Between words. The list is short because PostgreSQL's trigrams need it so. It is written in the
# syntax of a regular expression, which is that of GLOB, too.
SEPARATORS: Final = '[] ._/:@+,"[-]'

# One tag after the other. PostgreSQL can use only plain functions of the row in an index, so
# there it is the JSON text, in which only quotes and backslashes differ from the tags.
_TAGS = {
    "postgresql": "{tags}::text",
    "sqlite": "COALESCE((SELECT group_concat(value, ' ') FROM json_each({tags})), '')",
}
_PROPERTY = {
    "postgresql": "COALESCE({properties} ->> '{name}', '')",
    "sqlite": "COALESCE(json_extract({properties}, '$.{name}'), '')",
}


def text_sql(
    vendor: str,
    row: str = "",
    *,
    columns: tuple[str, str, str] | None = None,
    properties: Collection[str] = OS_PROPERTIES,
) -> str:
    """Return the SQL of the searched text: name, tags and properties of the operating system.

    ``vendor`` is the database: postgresql or sqlite. The columns are those of ``row``, such as
    ``new.``, or the SQL in ``columns``: name, tags, properties.
    """
    name, tags, all_properties = columns or (
        f"{row}name",
        f"{row}tags",
        f"{row}properties",
    )
    parts = [
        f"COALESCE({name}, '')",
        _TAGS[vendor].format(tags=tags),
        *(
            _PROPERTY[vendor].format(properties=all_properties, name=one)
            for one in OS_PROPERTIES
            if one in properties
        ),
    ]
    return " || ' ' || ".join(parts)


class SearchedText(Func):
    """The searched text of an image: name, tags, and properties of the operating system.

    With other ``properties`` than all of OS_PROPERTIES the database has no index for it.
    """

    def __init__(self, properties: Collection[str] = OS_PROPERTIES) -> None:
        """Prepare the expression for the columns of the model Image."""
        super().__init__("name", "tags", "properties", output_field=TextField())
        self._properties = frozenset(properties)

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        *args: Any,
        **extra: Any,
    ) -> tuple[str, Any]:
        """Return the SQL of the expression for the database, without parameters."""
        name, tags, properties = (
            compiler.compile(source)[0] for source in self.get_source_expressions()
        )
        text = text_sql(
            connection.vendor,
            columns=(name, tags, properties),
            properties=self._properties,
        )
        return f"({text})", ()


class HasPart(Lookup):
    """A lookup that matches if a text contains the given one, in upper or lower case.

    PostgreSQL uses a trigram index on the text.
    """

    lookup_name = "has_part"

    def _pattern(self) -> str:
        text = str(self.rhs)
        for special in ("\\", "%", "_"):
            text = text.replace(special, f"\\{special}")
        return f"%{text}%"

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        """Return the SQL of the condition for PostgreSQL, and its parameters."""
        text, params = self.process_lhs(compiler, connection)
        return f"{text} ILIKE %s", [*params, self._pattern()]

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        """Return the SQL of the condition for SQLite, and its parameters."""
        text, params = self.process_lhs(compiler, connection)
        word = str(self.rhs)
        if not word.isascii():
            return f"lower({text}) GLOB %s", [*params, f"*{_glob(word)}*"]
        return f"{text} LIKE %s ESCAPE '\\'", [*params, self._pattern()]


class BeginsWord(Lookup):
    """A lookup that matches if a word in a text begins with the given one, in upper or lower case.

    For words that are shorter than a trigram. PostgreSQL uses the trigram index for them, too.
    """

    lookup_name = "begins_word"

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        """Return the SQL of the condition for PostgreSQL, and its parameters."""
        text, params = self.process_lhs(compiler, connection)
        word = re.sub(r"([^\w\s])", r"\\\1", str(self.rhs))
        return f"{text} ~* %s", [*params, f"(^|{SEPARATORS}){word}"]

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        """Return the SQL of the condition for SQLite, and its parameters."""
        text, params = self.process_lhs(compiler, connection)
        word = _glob(str(self.rhs))
        return f"' ' || lower({text}) GLOB %s", [*params, f"*{SEPARATORS}{word}*"]


def _glob(word: str) -> str:
    """Return a pattern for SQLite that matches a word in either case in a text after ``lower``.

    The function ``lower`` of SQLite, like its LIKE, knows the case of ASCII letters only.
    """
    return "".join(map(_either_case, word))


def _either_case(letter: str) -> str:
    if letter in "*?[":
        return f"[{letter}]"
    if letter.isascii():
        return letter.lower()
    cases = {letter, letter.lower(), letter.upper()}
    return f"[{''.join(sorted(case for case in cases if len(case) == 1))}]"
