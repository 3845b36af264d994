"""The SQL expression for one of the digests that an image has in its column ``digests``."""

from __future__ import annotations

from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Func
from django.db.models.sql.compiler import SQLCompiler


class KnownDigest(Func):
    """The digest of one algorithm in an image's column ``digests``; NULL if it is not known.

    The algorithm is written into the SQL instead of being a parameter: SQLite uses the index on an
    expression only if the text of the expression is the same.
    """

    # MD5 has a column of its own.
    ALGORITHMS: Final = ("sha1", "sha256", "sha384", "sha512")
    template = "(%(expressions)s ->> '%(algorithm)s')"

    def __init__(self, algorithm: str) -> None:
        """Prepare the expression. Raises ValueError unless ``algorithm`` is in ALGORITHMS.

        They are sha1, sha256, sha384 and sha512.
        """
        if algorithm not in self.ALGORITHMS:
            raise ValueError(f"There is no index for digests of {algorithm}.")
        super().__init__("digests", output_field=CharField(), algorithm=algorithm)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, Any]:
        """Return the SQL and its parameters for SQLite (called by Django).

        Uses the function ``json_extract``, because old releases of SQLite lack the operator
        ``->>``.
        """
        template = "json_extract(%(expressions)s, '$.%(algorithm)s')"
        return self.as_sql(compiler, connection, template=template, **extra)
