"""Index an existing table in a migration, while others go on writing into the table."""

from __future__ import annotations

from typing import Any, Final

from django.db.migrations.operations import AddIndex
from django.db.models import Index

# Whether an index can be used: an interrupted creation leaves one in PostgreSQL that cannot.
_IS_VALID: Final = {
    "postgresql": "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)",
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = %s",
}


class AddIndexConcurrently(AddIndex):
    """Add an index without a lock on its table; the migration must have ``atomic = False``.

    PostgreSQL builds the index beside the changes of the table; SQLite has one writer at a time
    anyway. A migration that was interrupted can be applied again: it keeps the indexes that it has
    completed. PostgreSQL gets the index ``in_postgresql``, which has the same name, if there is one.
    """

    atomic = False

    def __init__(
        self, model_name: str, index: Index, *, in_postgresql: Index | None = None
    ) -> None:
        super().__init__(model_name, index)
        self._in_postgresql = in_postgresql or index

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Create the index unless it exists (called by Django)."""
        connection, name = schema_editor.connection, self.index.name
        with connection.cursor() as cursor:
            cursor.execute(_IS_VALID[connection.vendor], [name])
            found = cursor.fetchone()
        if found and found[0]:
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        in_postgresql = connection.vendor == "postgresql"
        index = self._in_postgresql if in_postgresql else self.index
        if found:
            schema_editor.remove_index(model, index, **_how(connection))
        schema_editor.add_index(model, index, **_how(connection))

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Remove the index (called by Django)."""
        model = from_state.apps.get_model(app_label, self.model_name)
        schema_editor.remove_index(model, self.index, **_how(schema_editor.connection))


def _how(connection: Any) -> dict[str, bool]:
    return {"concurrently": True} if connection.vendor == "postgresql" else {}
